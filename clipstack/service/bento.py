"""The environment in, the BentoML service out.

BentoML gives the processes, health, metrics and the page that shows the API. The endpoints are an
application of our own inside it (docs/adr/0005): its typed methods read a whole body before any
limit, and know no other answers to bad input than 400 and 500.
"""

from __future__ import annotations

import os
from functools import partial
from importlib import resources
from typing import Any, cast

import bentoml
from _bentoml_sdk import Service
from bentoml.exceptions import BentoMLException

from clipstack import encoders
from clipstack.errors import ClipstackError
from clipstack.service import configuration, container_image
from clipstack.service.api import Api
from clipstack.service.request_filter import Application, RequestFilter
from clipstack.service.served_model import model_folder
from clipstack.service.vectorizer import Vectorizer

NAME = "clip_image_vectorizer"
_SECONDS = 150
"""Until BentoML ends a request: more than a body, a wait and a batch may take together."""

_options = configuration.from_environment()
_model = container_image.model()
_api = Api()
_application = _api.application()


class _GuardedService(Service[Any]):  # type: ignore[misc]
    """A BentoML service with `Guard` around all of it."""

    def to_asgi(self, is_main: bool = True) -> Application:
        own = {route.path for route in _application.routes}  # type: ignore[attr-defined]
        theirs = {"/metrics", "/schema.json"}
        return RequestFilter(super().to_asgi(is_main), own | theirs, _files(), _options.token)


@bentoml.service(
    name=NAME,
    service_class=_GuardedService,
    workers=_options.workers,
    traffic={"timeout": _SECONDS},
    image=container_image.image(_model),
)
@bentoml.asgi_app(_application)
class ClipImageVectorizer:
    """Pictures and texts in, CLIP vectors out, as the model gives them."""

    bento_service: Service[Any]
    bundled = _model  # BentoML packs the models it finds as attributes

    def __init__(self) -> None:
        _share_cores()
        _api.vectorizer = Vectorizer(
            _options,
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
        """Once, before the workers start: what can't be served ends `bentoml serve` here."""
        try:
            model_folder(svc.bento)
        except ClipstackError as error:
            raise BentoMLException(f"{error.message}. {error.hint}") from None

    async def __is_ready__(self) -> bool:
        return _api.vectorizer.ready


def _share_cores() -> None:
    """Workers on one machine would each start as many threads as it has cores."""
    if _options.workers > 1:
        each = max(1, (os.cpu_count() or 1) // _options.workers)
        os.environ.setdefault("OMP_NUM_THREADS", str(each))


def _files() -> set[str]:
    """Paths of what BentoML's page consists of."""
    folder = resources.files("bentoml._internal.server") / "static_content"
    if not folder.is_dir():
        return set()
    return {f"/static_content/{file.name}" for file in folder.iterdir()}


svc = cast("Service[Any]", ClipImageVectorizer)
vectorization = svc
