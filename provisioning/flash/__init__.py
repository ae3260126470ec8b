"""A board in its ROM loader: firmware images, what the chip says about itself, and esptool as a process of its own."""
