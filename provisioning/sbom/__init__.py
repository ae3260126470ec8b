"""The software bill of materials of a product: what is put on a board, as CycloneDX and SPDX, and what is known against it."""
