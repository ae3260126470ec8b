"""What a person has to type to get this very command."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def name() -> str:
    """`twinroot` where the shell finds the one that runs, else its path; quoted where it holds a space."""
    own = Path(sys.executable).with_name("twinroot.exe" if sys.platform == "win32" else "twinroot")
    found = shutil.which("twinroot")
    if found is not None and (not own.exists() or Path(found).absolute() == own.absolute()):
        return "twinroot"
    text = str(own) if own.exists() else f"{sys.executable} -m provisioning"
    return f'"{text}"' if " " in str(own) and own.exists() else text
