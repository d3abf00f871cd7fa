"""`python -m clipstack` and the `clipstack` command."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import NoReturn

from clipstack import interrupts


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    # NumPy's threads would spin beside OpenVINO's, and have nothing large to do.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    interrupts.install()
    from clipstack.cli.app import run

    code = run(sys.argv[1:])
    with interrupts.deferred(threading.Event()):  # it has ended
        _leave(code)


def _leave(code: int) -> NoReturn:
    """End the process without tearing down what is in memory.

    The destructors of a model take a tenth of a second for what the system does at once.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # whoever read it is gone: Python says what is to be said
        sys.exit(code)
    if not interrupts.received():  # else what still runs is not wanted
        threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    os._exit(code)


if __name__ == "__main__":
    main()
