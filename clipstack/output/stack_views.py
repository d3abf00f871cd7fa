"""What a build or a service tells in, progress on stderr and views out."""

from __future__ import annotations

import time
from typing import Self

from clipstack.output.out import Out, View
from clipstack.output.progress import Progress
from clipstack.output.tables import key_value_view
from clipstack.stack.bento_build import Built
from clipstack.stack.local_service import Serving
from clipstack.units import format_bytes


class BuildProgress(Progress):
    """The stages of a build: a spinner with the step it is at, or a line for each.

    A context manager that takes the events of `clipstack.stack.bento_build`.
    """

    def __init__(self, out: Out) -> None:
        super().__init__(out)
        self._stage = ""
        self._since = 0.0

    def __enter__(self) -> Self:
        if self._out.animated:
            from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

            self._start(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                TextColumn("{task.fields[step]}", style="dim", markup=False),
                TimeElapsedColumn(),
            )
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._end()
        super().__exit__(*error)

    def stage(self, text: str) -> None:
        """A stage begins; the one before it is done."""
        self._end()
        self._stage, self._since = text, time.monotonic()
        if self._bar:
            self._task = self._bar.add_task(text, total=None, step="")
        else:
            self._out.note(text)

    def step(self, text: str) -> None:
        """A step of the stage begins."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, step=text)
        else:
            self._out.note(f"  {text}")

    def line(self, text: str) -> None:
        """One line that bentoml or docker printed; --verbose shows them."""
        self._out.detail(text)

    def _end(self) -> None:
        if not self._stage:
            return
        if self._bar and self._task is not None:
            self._bar.remove_task(self._task)
            self._out.note(f"{self._stage}  {time.monotonic() - self._since:.1f} s")
        self._stage = ""


def run_line(built: Built) -> str:
    """What to type to run a built image."""
    return f"docker run --rm -p 3000:3000 {built.image}"


def built(made: Built) -> View:
    """A bento, and its image if there is one."""
    facts = {
        "bento": made.bento,
        "model": made.model.name,
        "fingerprint": made.model.fingerprint,
        "dimension": made.model.dimension,
        "stored": made.stored,
        "seconds": round(made.seconds, 1),
    }
    if not made.image:
        return key_value_view(facts, quiet=[made.bento])
    size = {"image": made.image, "bytes": made.size}
    shown = key_value_view(facts | size, quiet=[made.image])
    people = key_value_view(facts | {"image": made.image, "size": format_bytes(made.size)})
    return View(
        json=facts | size | {"run": run_line(made)},
        lines=shown.lines,
        quiet=shown.quiet,
        human=people.human,
    )


def serving(one: Serving) -> View:
    """Where a service that is about to start will be."""
    facts = {
        "url": one.url,
        "docs": f"{one.url}/",
        "ready": f"{one.url}/readyz",
        "model": one.model.name,
        "workers": one.workers,
    }
    return View(json=facts, quiet=[one.url])


def serving_hints(one: Serving) -> str:
    """The same for a person, with lines to try."""
    post = f"curl {one.url}"
    return (
        f"The model {one.model.name} on {one.url}, described at {one.url}/. Ctrl-C stops it.\n"
        f"Try, once {one.url}/readyz answers 200:\n"
        f"  {post}/vectorize_text -H 'Content-Type: text/plain' -d dog\n"
        f"  {post}/vectorize -H 'Content-Type: image/jpeg' --data-binary @image.jpg\n"
    )
