"""`python -m provisioning.virtual`: the boards without the rest of twinroot."""

from __future__ import annotations

import sys

from provisioning.errors import TwinrootError
from provisioning.virtual.options import parse
from provisioning.virtual.run import run


def main() -> int:
    """Never returns when all is well."""
    try:
        run(parse(sys.argv[1:]))
    except TwinrootError as error:
        sys.stderr.write(f"error: {error.message}.\n{error.hint}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
