"""The matrix of jobs on emulated chips: `make silicon QEMU=DIR FIRMWARE="FILE…"`. It needs a QEMU and images that its user has."""
