"""Rates of the stages in; what an import can be expected to do and what holds it back out.

The model. Decoding, encoding on the CPU and writing all want the same cores, so while they run
side by side a picture costs the sum of what it costs each of them alone:

    1 / import = 1 / decode + 1 / encode + 1 / (cores x write)

with decode and encode measured on all cores, and write on the one core that the writing thread
keeps busy. A GPU takes the encoding off the cores: then an import is as fast as the slower of the
encoder and the rest. Reading waits for a disk, not for a core: it overlaps with all else and counts
only where it is slower than everything together. The stage that holds an import back is the one
that takes the largest part of a picture's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class StageKind(StrEnum):
    """The stages of an import."""

    READ = "read"
    DECODE = "decode"
    ENCODE = "encode"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Stage:
    """What one stage can do alone.

    Attributes:
        what: with what it was done, such as "openvino bf16".
        per_second: pictures a second.
        used: whether an import would use it; true for one of several engines.
        on_cores: whether it keeps this machine's cores busy; a GPU does not.
        best: of an encoder, pictures a second of its fastest batch, to compare with the limit,
            which is measured the same way; `per_second` counts all batches.
    """

    kind: StageKind
    what: str
    per_second: float
    used: bool = True
    on_cores: bool = True
    best: float = 0.0


@dataclass(frozen=True, slots=True)
class SearchTiming:
    """Searches among random vectors: how many rows, and the median seconds of a search."""

    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ComputeLimit:
    """What this machine's matrix product allows for the model's image tower.

    Attributes:
        precision: "bf16" or "fp32".
        operations: floating-point operations of one picture.
        per_second: floating-point operations a second, measured in `precision`.
    """

    precision: str
    operations: int
    per_second: float

    @property
    def what(self) -> str:
        """What was measured."""
        return f"matrix product in {self.precision}"

    @property
    def pictures(self) -> float:
        """Pictures a second that can't be exceeded."""
        return self.per_second / self.operations


@dataclass(frozen=True, slots=True)
class BenchReport:
    """What was measured.

    Attributes:
        folder: where the pictures came from, "" for drawn ones.
        pictures: how many of them were decoded; `failed` could not be.
        megapixels, kilobytes: of the mean picture.
        left_out: what was not measured, and why.
    """

    model: str
    cores: int
    folder: str
    pictures: int
    failed: int
    megapixels: float
    kilobytes: float
    stages: Sequence[Stage]
    searches: Sequence[SearchTiming]
    limit: ComputeLimit | None = None
    left_out: Sequence[str] = field(default_factory=tuple)

    def used(self, kind: StageKind) -> Stage:
        """The stage of that kind that an import would use."""
        return next(stage for stage in self.stages if stage.kind is kind and stage.used)

    @property
    def reached(self) -> float | None:
        """The part of the limit that the encoder gets to in its fastest batch; None without one."""
        return self.used(StageKind.ENCODE).best / self.limit.pictures if self.limit else None

    @property
    def shares(self) -> dict[StageKind, float]:
        """The part of a picture's time that each stage takes, 0 to 1; of stages that overlap with
        the others, what they would take alone, so the sum may exceed 1."""
        seconds = 1 / self.expected
        return {kind: min(1.0, cost / seconds) for kind, cost in self._costs().items()}

    @property
    def expected(self) -> float:
        """Pictures a second that an import of such pictures should do; see the module."""
        costs = self._costs()
        apart = [StageKind.READ]
        if not self.used(StageKind.ENCODE).on_cores:
            apart.append(StageKind.ENCODE)
        together = sum(cost for kind, cost in costs.items() if kind not in apart)
        return 1 / max(together, *(costs[kind] for kind in apart))

    @property
    def holds_back(self) -> StageKind:
        """The stage that takes most of a picture's time."""
        shares = self.shares
        return max(shares, key=lambda kind: shares[kind])

    def _costs(self) -> dict[StageKind, float]:
        """Seconds a picture costs each stage, with all cores at its service."""
        costs = {kind: 1 / self.used(kind).per_second for kind in StageKind}
        costs[StageKind.WRITE] /= self.cores
        return costs
