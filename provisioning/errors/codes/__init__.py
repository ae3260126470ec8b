"""The rows, a file per subject: `SUBJECT`, the heading in docs/errors.md, and `ROWS`."""
