"""rclip's own command line, with its preprocessing at another size: `run_rclip.py EDGE ARGS`."""

from __future__ import annotations

import sys

from rclip import main, model
from rclip.utils import preprocess

if __name__ == "__main__":
    edge = int(sys.argv.pop(1))
    for module in (main, model, preprocess):
        module.IMAGE_SIZE = edge
    main.main()
