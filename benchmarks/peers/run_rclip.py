"""rclip's own command line, with its preprocessing at another size: `run_rclip.py EDGE ARGS`."""

from __future__ import annotations

import sys

from rclip.main import main
from rclip.utils import preprocess

if __name__ == "__main__":
    preprocess.IMAGE_SIZE = int(sys.argv.pop(1))
    main()
