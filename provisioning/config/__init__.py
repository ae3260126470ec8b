"""What people write: board, product and device files; every error names file, line, key and what was expected."""
