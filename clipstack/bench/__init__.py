"""Pictures and a model in, what each stage of an import can do on this machine out."""

from clipstack.bench.report import BenchReport, Search, Sort, Stage
from clipstack.bench.stages import Request, run

__all__ = ["BenchReport", "Request", "Search", "Sort", "Stage", "run"]
