"""A second engine of the virtual board: QEMU runs a firmware image as it is, on an emulated chip, behind the same ports."""
