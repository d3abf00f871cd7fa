"""Commands of one stack at the same time, ended and killed at random, and its containers too."""

from __future__ import annotations

import contextlib
import os
import random
import shlex
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

from tests.material import draw
from tests.running import process
from tests.stack.stacks import SERVICES, Stack, docker

_COMMANDS = (
    *(("up",), ("up", "--no-wait"), ("up", "etcd"), ("down",), ("restart",), ("restart", "milvus")),
    *(("stop",), ("stop", "minio"), ("start",)),
)
_SIGNALS = (None, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP, signal.SIGINT)
_MARKED = 20
_SECONDS = 240


class Interleavings:
    """A stack with rows in it, which nothing of what happens may lose.

    Args:
        stack: not running yet.
        seed: of what happens, and when.
        engine: a command that kills Docker's engine and starts it again; "" to leave it alone.

    Attributes:
        happened: how often each thing was done.
    """

    def __init__(self, stack: Stack, seed: int, engine: str = "") -> None:
        self._stack = stack
        self._random = random.Random(seed)
        self._engine = engine
        folders = [stack.folder / name for name in ("pictures", "marked", "temporary")]
        for folder in folders:
            folder.mkdir()
        self._pictures, marked, self._temporary = folders
        draw(self._pictures, 200, 32)
        draw(marked, _MARKED, 32)
        self.happened: Counter[str] = Counter()
        assert stack.clipstack("up").code == 0
        ran = stack.clipstack("import", marked, "-c", "marker")
        assert ran.code == 0, ran.err
        self._volumes = self._listed("volume")

    def run(self) -> list[str]:
        """Let some things happen at once, and start the stack; returns what happened.

        Raises:
            AssertionError: it does not start, or something was lost or is left.
        """
        actions: list[str] = []
        running: list[subprocess.Popen[str]] = []
        try:
            for _ in range(self._random.randint(2, 4)):
                actions.append(self._act(running))
                time.sleep(self._random.uniform(0, 4))
            for one in running:
                one.communicate(timeout=_SECONDS)
        finally:
            for one in running:
                one.kill()
        started = time.monotonic()
        ran = self._stack.clipstack("up", "--timeout", str(_SECONDS), timeout=2 * _SECONDS)
        assert ran.code == 0, f"after {actions}: {ran.out}{ran.err}"
        actions.append(f"up in {time.monotonic() - started:.0f} s")
        self._check(actions)
        return actions

    def _act(self, running: list[subprocess.Popen[str]]) -> str:
        kinds = (
            ["command"] * 5 + ["import"] * 2 + ["container"] * 2 + ["engine"] * bool(self._engine)
        )
        kind = self._random.choice(kinds)
        if kind == "container":
            return self._harm_container()
        if kind == "engine":
            subprocess.run(shlex.split(self._engine), check=True, capture_output=True)
            self.happened["engine killed"] += 1
            return "engine killed"
        command = ("import", str(self._pictures), "--patience", "60")
        if kind == "command":
            command = (*self._random.choice(_COMMANDS), "--timeout", str(_SECONDS - 60))
        environment = self._stack.environment | {"TMPDIR": str(self._temporary)}
        started = process(*command, env=environment, cwd=self._stack.folder)
        running.append(started)
        number = self._random.choice(_SIGNALS)
        name = command[0]
        if number:
            time.sleep(self._random.uniform(0.1, 8))
            started.send_signal(number)
            name += f" {number.name}"
        self.happened[name] += 1
        return name

    def _harm_container(self) -> str:
        service = self._random.choice(SERVICES)
        verb = self._random.choice(("kill", "pause", "stop", "rm --force"))
        with contextlib.suppress(AssertionError):  # it is not there, or does not run
            docker(*verb.split(), self._stack.container(service))
        self.happened[f"container {verb}"] += 1
        return f"docker {verb} {service}"

    def _check(self, actions: list[str]) -> None:
        after = f"after {actions}"
        assert self._listed("volume") == self._volumes, after
        ran = self._stack.clipstack("collections", "show", "marker", "--json")
        assert ran.code == 0, f"{after}: {ran.out}{ran.err}"
        assert ran.json["rows"] == _MARKED, after
        search = ("search", "red circle", "-c", "marker", "-k", "1", "--quiet")
        ran = self._stack.clipstack(*search)
        assert ran.out.strip(), f"{after}: {ran.err}"
        networks, containers = self._listed("network"), self._listed("container")
        assert len(networks) == 1, f"{after}: networks {networks}"
        assert len(containers) == len(SERVICES), f"{after}: containers {containers}"
        processes = _processes(self._stack)
        assert not processes, f"{after}: processes {processes}"
        left = [path.name for path in self._temporary.iterdir()]
        assert not left, f"{after}: temporary {left}"

    def _listed(self, kind: str) -> list[str]:
        label = f"label=com.docker.compose.project={self._stack.project}"
        every = ["--all"] if kind == "container" else []
        return sorted(docker(kind, "ls", "-q", *every, "--filter", label).split())


def _processes(stack: Stack) -> list[str]:
    """Command lines of processes on this machine that were started for the stack."""
    marks = (f"CLIPSTACK_PROJECT={stack.project}\0", f"CLIPSTACK_DATA_DIR={stack.folder}/")
    lines = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (folder / "environ").read_bytes().decode(errors="replace")
            if int(folder.name) != os.getpid() and any(mark in environment for mark in marks):
                line = (folder / "cmdline").read_bytes().decode(errors="replace")
                lines += [line.replace("\0", " ")] if line else []  # a zombie has none
    return lines
