"""`python -m provisioning.virtual`: the boards without the rest of twinroot."""

from __future__ import annotations

import sys

from provisioning.errors import TwinrootError
from provisioning.virtual import error_reply
from provisioning.virtual.options import parse
from provisioning.virtual.run import run


def main() -> int:
    """Returns only when nothing had to be started, or could be."""
    try:
        run(parse(sys.argv[1:]))
    except TwinrootError as error:
        # Read ahead: a wrong option ends the parsing before --json is seen.
        return error_reply.report(error, "--json" in sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
