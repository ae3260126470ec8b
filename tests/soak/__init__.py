"""A station's long run: hundreds of boards with faults, the station killed, the ledger's server restarted; `make soak`."""
