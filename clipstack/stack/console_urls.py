"""Addresses of the services' pages for a browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from clipstack.errors import NotFoundError, UnreachableError
from clipstack.settings import stack_variables
from clipstack.stack import containers, published_ports
from clipstack.stack.teardown import require_containers

_SECONDS = 5.0


def console_url(project: str, values: Mapping[str, str], service: str) -> str:
    """The URL of a running service's page.

    Raises:
        NotFoundError: there is no such service, or it has no page.
        UnreachableError: it is not running.
        PrerequisiteError: Docker can't be used.
    """
    client = containers.client()
    container = require_containers(client, project, [service])[service]
    if container.state != "running":
        raise UnreachableError(
            f"{service} is not running", hint=f"`clipstack up {service}` starts it."
        )
    urls = stack_variables.service_urls(published_ports.located(values))
    if service in ("bentoml", "attu"):
        return f"{urls[service]}/"
    if service == "milvus" and _answers(f"{urls['health']}/webui/"):
        return f"{urls['health']}/webui/"
    hint = "bentoml, and attu after `clipstack up --attu`, have one."
    if service == "milvus":
        hint = f"Milvus has one from 2.5 on. {hint}"
    raise NotFoundError(f"{service} has no page to open", hint=hint)


def has_browser() -> bool:
    """Whether this session can show a browser."""
    if sys.platform in ("darwin", "win32"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def _answers(url: str) -> bool:
    import httpx

    from clipstack import http_client

    try:
        with http_client.new_client(timeout=_SECONDS, follow_redirects=True) as client:
            return client.get(url).status_code == 200
    except httpx.HTTPError:
        return False
