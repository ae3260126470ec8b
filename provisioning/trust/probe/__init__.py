"""Looks at a live server as a device would: one TLS 1.2 handshake, the chain as it was sent, and mbedTLS's rules applied to it.

wire.py      the handshake, and what the server sent in the clear
chain.py     mbedTLS's verification of a chain, as a function
verdict.py   what a device with given routes and roots would do, and which error it would raise
examine.py   everything worth knowing about one server: roots, versions, key types, other names
"""
