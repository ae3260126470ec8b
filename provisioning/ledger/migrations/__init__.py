"""The forms that the ledger's tables have had: Alembic's scripts, a file each, numbered."""
