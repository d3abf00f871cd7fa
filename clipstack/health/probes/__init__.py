"""A service's address in; what it really does, how long that took and what is wrong, out."""

from __future__ import annotations


def prepare() -> None:
    """Import what the probes of a stack need, so that no probe's latency holds an import."""
    import docker  # noqa: F401
    import httpx  # noqa: F401

    from clipstack.index.milvus import rpc_probe

    rpc_probe.prepare()
