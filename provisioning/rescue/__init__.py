"""A board whose program holds it: its file system reached by the prompt or through the ROM loader, without losing a file."""
