"""Probes of services: what each really does, how long that takes, and what is wrong."""

from __future__ import annotations


def prepare() -> None:
    """Import what the probes of a stack need, so that no latency includes an import."""
    import httpx  # noqa: F401

    from clipstack.index.milvus import rpc_probe
    from clipstack.stack import containers

    containers.preload()
    rpc_probe.prepare()
