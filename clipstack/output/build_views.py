"""Views of a build of the service."""

from __future__ import annotations

from clipstack.output.out import View
from clipstack.output.tables import key_value_view
from clipstack.stack.bento_build import Built
from clipstack.units import format_bytes


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
