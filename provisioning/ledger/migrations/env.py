"""The forms that the ledger's tables have had are in `versions`, a file each, numbered.

This runs them in the transaction that `provisioning.ledger.migrate` hands over.
"""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], target_metadata=None, transactional_ddl=True)
context.run_migrations()
