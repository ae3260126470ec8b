"""A set: the exact bytes that a product puts on one device, as files, as a folder, as a file-system image."""
