"""What is printed for a board that passed: ZPL from a template, a QR code, and the ways to a printer."""
