"""Pictures and a model in, what each stage of an import can do on this machine out."""

from clipstack.bench.measure import Request, run
from clipstack.bench.report import Report, Search, Sort, Stage

__all__ = ["Report", "Request", "Search", "Sort", "Stage", "run"]
