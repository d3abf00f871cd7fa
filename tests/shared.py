"""Where test pictures that others made are, if this machine has them."""

from __future__ import annotations

import os
from pathlib import Path

SHARED = Path(os.environ.get("CLIPSTACK_SHARED") or Path(__file__).parents[2] / "shared")
