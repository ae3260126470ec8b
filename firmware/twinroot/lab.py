"""A bench's own name service. Loaded only where the set has a `lab` table."""


def at(host, port, info):
    """Where a connection to `host` goes on the bench of the set `info`. That changes the address, and never the name that is verified."""
    table = info["lab"].get("resolve", {})
    to = table.get("%s:%d" % (host, port)) or table.get("*.%s:%d" % (host[host.find(".") + 1 :], port))
    if to:
        host, port = to.rsplit(":", 1)
    return host, int(port)
