"""How a host reaches a board: a pseudo-terminal and an RFC 2217 port."""
