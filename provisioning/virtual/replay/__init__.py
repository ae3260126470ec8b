"""The engine replay: a board that says again what one has said in a recorded session (link/recording.py)."""
