"""Who, where and with what, for the row of a person's decision."""

from __future__ import annotations


def about(**more: str) -> dict[str, str]:
    """The fields that every such row has, and `more`."""
    from provisioning import __version__
    from provisioning.job.fingerprints import operator, station

    return {"operator": operator(), "station": station(), "toolkit": __version__, **more}
