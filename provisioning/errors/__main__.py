"""`python -m provisioning.errors` brings the tables of codes in docs/ up to date."""

from __future__ import annotations

import sys
from pathlib import Path

from provisioning.errors.documents import pages

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main() -> int:
    """Exit code 0; 3 where there is no docs/, as in an installed package."""
    try:
        wanted = pages(DOCS)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"The documents cannot be made: {error}. Run this in a checkout.\n")
        return 3
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8", newline="\n")
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
