"""The BentoML service.

BentoML provides processes, health, metrics and the page that shows the API. The endpoints are a
Starlette application mounted in it (docs/adr/0005): BentoML's typed methods read a whole body
before any limit applies, and answer bad input with 400 or 500 only.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any, cast

import bentoml
from bentoml.exceptions import BentoMLException
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from clipstack import encoders
from clipstack.errors import ClipstackError
from clipstack.service import configuration, container_image
from clipstack.service.api import Api
from clipstack.service.request_filter import RequestFilter
from clipstack.service.served_model import model_folder
from clipstack.service.vectorizer import Vectorizer

NAME = "clip_image_vectorizer"
_TIMEOUT_SECONDS = 150
"""After which BentoML ends a request: more than a body, a wait and a batch may take together."""

_configuration = configuration.from_environment()
_model = container_image.model()
_api = Api()
_application = _api.application()


class _FilteredService(bentoml.Service[Any]):  # type: ignore[misc]
    """A BentoML service behind a `RequestFilter`."""

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        app = super().to_asgi(is_main)
        paths = {route.path for route in _application.routes if isinstance(route, Route)}
        paths |= {"/metrics", "/schema.json"}
        return RequestFilter(app, paths, _static_files(app), _configuration.token)


@bentoml.service(
    name=NAME,
    service_class=_FilteredService,
    workers=_configuration.workers,
    traffic={"timeout": _TIMEOUT_SECONDS},
    image=container_image.image(_model),
)
@bentoml.asgi_app(_application)
class ClipImageVectorizer:
    """CLIP vectors of pictures and texts, as the model gives them."""

    bento_service: bentoml.Service[Any]
    bundled = _model  # BentoML packs the models it finds as attributes

    def __init__(self) -> None:
        _share_cores()
        _api.vectorizer = Vectorizer(
            _configuration,
            partial(model_folder, svc.bento),
            load=partial(
                encoders.load,
                device=os.environ.get("CLIPSTACK_DEVICE") or "auto",
                engine=os.environ.get("CLIPSTACK_ENGINE") or "auto",
                precision=os.environ.get("CLIPSTACK_PRECISION") or "auto",
            ),
        )

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def fetch_model() -> None:
        """Find or download the model, once before the workers start.

        Raises:
            BentoMLException: the model can't be served; this ends `bentoml serve`.
        """
        try:
            model_folder(svc.bento)
        except ClipstackError as error:
            raise BentoMLException(f"{error.message}. {error.hint}") from None

    async def __is_ready__(self) -> bool:
        return _api.vectorizer.ready


def _share_cores() -> None:
    """Divide the cores among the workers: each would start as many threads as there are cores."""
    if _configuration.workers > 1:
        threads = max(1, (os.cpu_count() or 1) // _configuration.workers)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))


def _static_files(app: Starlette) -> set[str]:
    """Paths of the files that BentoML mounts for its page."""
    return {
        f"{route.path}/{file.name}"
        for route in app.routes
        if isinstance(route, Mount) and isinstance(route.app, StaticFiles)
        for folder in route.app.all_directories
        for file in Path(folder).iterdir()
    }


svc = cast("bentoml.Service[Any]", ClipImageVectorizer)
vectorization = svc
