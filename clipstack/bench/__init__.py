"""What each stage of an import can do on this machine."""

from clipstack.bench.report import BenchReport, SearchTiming, Stage, StageKind
from clipstack.bench.stages import BenchRequest, run

__all__ = ["BenchReport", "BenchRequest", "SearchTiming", "Stage", "StageKind", "run"]
