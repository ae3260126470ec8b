"""Which certificate a board has, and until when, in the words of a report."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from provisioning.errors import BoardError
from provisioning.identity import renewal
from provisioning.job.board_identity import Renewal
from provisioning.trust import der


def facts(leaf: der.Certificate) -> dict[str, Any]:
    """The report's `certificate`."""
    return {"sha256": renewal.fingerprint(leaf), "serial": f"{leaf.serial:x}", "not_after": f"{leaf.not_after:%Y-%m-%dT%H:%M:%SZ}"}


def clause(leaf: der.Certificate, now: datetime | None = None) -> str:
    """ "its certificate is valid until 2036-11-28"; of one that is not, since when."""
    verb = "is valid until" if leaf.not_after > (now or datetime.now(timezone.utc)) else "expired on"
    return f"its certificate {verb} {leaf.not_after:%Y-%m-%d}"


def is_behind(found: Renewal, name: str) -> BoardError:
    """The board on `name` holds the product, with the certificate that was renewed since."""
    return BoardError(
        "old-certificate",
        f"The board on {name} is whole and has the certificate from before its renewal: {clause(found.held)}, and the one here, of the "
        f"same key, is valid until {found.here.not_after:%Y-%m-%d}.",
        "`twinroot update PRODUCT.yaml` brings it; until then the cloud has to know both.",
    )
