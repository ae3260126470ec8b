"""The ROM's serial loader and the flasher stub: what esptool talks to."""
