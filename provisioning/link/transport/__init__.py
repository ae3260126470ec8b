"""Ways to put a set on a board, best first: stream, paste, ampy. choose.py decides by what the board answers."""
