# Freezes the connection package into a firmware image: `make BOARD=... FROZEN_MANIFEST=.../firmware/manifest.py`.
# Frozen modules are the last resort of the loader: a set's own package in /lib/twinroot/<package> comes first.
include("$(PORT_DIR)/boards/manifest.py")  # noqa: F821 (names of the manifest language)
package("twinroot", base_path=".", opt=3)  # noqa: F821
