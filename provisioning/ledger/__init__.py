"""What was done to which board: append-only, hash-chained rows; an intent before the first write, an outcome after."""
