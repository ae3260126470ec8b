"""What the tests of the virtual board share."""

from __future__ import annotations

import sys
from pathlib import Path

# The suite is collected in importlib mode: helpers beside the tests are found like this.
sys.path.insert(0, str(Path(__file__).parent))
