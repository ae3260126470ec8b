"""twinroot, host side: YAML, board, bundle, transfer, device, report. Data flows in that order and never back."""

__version__ = "0.1.0"
