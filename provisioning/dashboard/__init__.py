"""The ledger as a page for a second screen: read-only, live, for everybody who may look."""
