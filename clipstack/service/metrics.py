"""Prometheus metrics of the service, served on /metrics beside BentoML's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Histogram

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Histograms of durations and batch sizes, by `kind`: "image" or "text".

    Create one in a process, after BentoML has set PROMETHEUS_MULTIPROC_DIR: prometheus_client reads
    it when it is imported.
    """

    def __init__(self) -> None:
        from prometheus_client import Histogram

        def histogram(name: str, help: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"clipstack_{name}", help, ["kind"], buckets=buckets)

        self.decode = histogram("decode_seconds", "Decoding one picture", _SECONDS)
        self.queue = histogram("queue_seconds", "Waiting for the encoder", _SECONDS)
        self.encode = histogram("encode_seconds", "Encoding one batch", _SECONDS)
        self.batch = histogram("batch_size", "Items encoded at once", _SIZES)
