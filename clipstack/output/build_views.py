"""Views of a build of the service."""

from __future__ import annotations

from clipstack.output.out import View
from clipstack.output.tables import key_value_view
from clipstack.stack.bento_build import BuildResult
from clipstack.units import format_bytes


def run_command(build: BuildResult) -> str:
    """The command that runs a built image."""
    return f"docker run --rm -p 3000:3000 {build.image}"


def built(result: BuildResult) -> View:
    """A bento, and its image if there is one."""
    values = {
        "bento": result.bento,
        "model": result.model.name,
        "fingerprint": result.model.fingerprint,
        "dimension": result.model.dimension,
        "stored": result.model_tag,
        "seconds": round(result.seconds, 1),
    }
    if not result.image:
        return key_value_view(values, quiet=[result.bento])
    size = {"image": result.image, "bytes": result.size}
    plain = key_value_view(values | size, quiet=[result.image])
    human = key_value_view(values | {"image": result.image, "size": format_bytes(result.size)})
    return View(
        json=values | size | {"run": run_command(result)},
        lines=plain.lines,
        quiet=plain.quiet,
        human=human.human,
    )
