"""What the tests of the virtual board share."""

from __future__ import annotations

import os

# These need a QEMU and images that only their user has; test_qemu_engine.py holds the engine to the same with a stand-in.
collect_ignore = [] if {"TWINROOT_QEMU", "TWINROOT_QEMU_FIRMWARE"} <= set(os.environ) else ["test_qemu_real.py"]
