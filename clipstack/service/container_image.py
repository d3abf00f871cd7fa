"""The container image of a bento, and the model inside it.

BentoML 1.4 generates the Dockerfile, and only commands to `RUN` can be added to it. (`bentoml
containerize` refuses its `dockerfile_template`: it looks for the template outside the current
folder, and does not allow that.) It writes those commands unchanged, so the lines that follow a
command become lines of the Dockerfile. They install the packages in a stage of their own, keep only
what is used, and add a health check. See docs/adr/0006.
"""

from __future__ import annotations

import json
import os
from importlib import metadata
from typing import TYPE_CHECKING

from clipstack.encoders.choice import choose

if TYPE_CHECKING:
    from bentoml.images import Image
    from bentoml.models import BentoModel

MODEL = "clip_model"
"""The name under which `clipstack build` keeps models in BentoML's model store."""
MODEL_VARIABLE = "CLIPSTACK_BENTO_MODEL"
"""Environment variable: the stored model of a bento; by default the newest `clip_model`."""

ENGINE_VARIABLE = "CLIPSTACK_BENTO_ENGINE"
"""Environment variable: "openvino" or "torch"; by default the engine of this machine."""

PYTHON = "3.11"
PACKAGES = (
    *("tokenizers", "sentencepiece", "numpy", "pillow", "platformdirs"),
    *("huggingface_hub",),
)
"""What `clipstack.images` and `clipstack.encoders` import; the rest comes with BentoML."""
ENGINE_PACKAGES = {
    "openvino": ("openvino",),
    "torch": ("torch", "transformers", "safetensors", "protobuf"),
}

# uv reads these both when versions are locked and when the image is built.
_UV_VARIABLES = ("UV_TORCH_BACKEND", "UV_INDEX_STRATEGY")

_VENV = "/app/.venv"
# Tests and headers of PyTorch and others; OpenVINO's plugins for devices that a CPU image does not
# have, and its readers of other formats.
_UNUSED = (
    *(f"openvino/libs/libopenvino_{name}_plugin.so*" for name in ("intel_gpu", "intel_npu")),
    *(f"openvino/libs/libopenvino_{name}_frontend.so*" for name in ("pytorch", "tensorflow")),
    *(f"openvino/libs/libopenvino_{name}_frontend.so*" for name in ("onnx", "paddle", "jax")),
    "openvino/libs/libopenvino_intel_npu*",
    *("torch/test", "torch/include", "torch/share", "torch/bin/test_*", "torch/bin/*Test"),
    *("torch/bin/protoc*", "*/tests", "*/*/tests"),
)
# uv compiles everything to 230 MB of byte code, most of it for models of transformers that are
# never loaded. Only what this imports is compiled again; the user of the service can't write there.
WARM_UP = {
    "openvino": "import bentoml, PIL.Image, openvino, tokenizers, _bentoml_impl.server.app",
    "torch": (
        "import bentoml, PIL.Image, torch, transformers.models.auto, "
        "_bentoml_impl.server.app, transformers.models.clip.modeling_clip, "
        "transformers.models.siglip.modeling_siglip"
    ),
}
_HEALTH_CHECK = (
    "import os, urllib.request as u; "
    "p = os.environ.get('PORT') or os.environ.get('BENTOML_PORT') or '3000'; "
    "u.urlopen('http://127.0.0.1:' + p + '/readyz', timeout=8)"
)


def model() -> BentoModel | None:
    """The stored model to put into a bento, for an attribute of the service class.

    None if the store has none; with `image(None)` the bento serves the built-in `shapes`.

    Raises:
        bentoml.exceptions.NotFound: CLIPSTACK_BENTO_MODEL names a model that is not stored.
    """
    import bentoml
    from bentoml.models import BentoModel

    tag = os.environ.get(MODEL_VARIABLE, "")
    if tag:
        return BentoModel(bentoml.models.get(tag).tag)
    reference = BentoModel(f"{MODEL}:latest")
    return reference if reference.stored is not None else None


def image(model: BentoModel | None) -> Image:
    """The image of a bento with `model` inside, or for None with the built-in `shapes`."""
    from bentoml.images import Image

    engine = os.environ.get(ENGINE_VARIABLE) or choose("auto", "cpu")
    container = Image(base_image=f"python:{PYTHON}-slim", distro="", python_version=PYTHON)
    settings = [f"ENV {name}={os.environ[name]}" for name in _UV_VARIABLES if os.environ.get(name)]
    container.run("\n".join(["true", "", "FROM base-container AS packages", *settings]))
    container.python_packages(*map(_requirement, (*PACKAGES, *ENGINE_PACKAGES[engine])))
    packages = f"{_VENV}/lib/python{PYTHON}/site-packages"
    container.run(
        "\n".join(
            [
                f"cd {packages} && rm -rf {' '.join(_UNUSED)}"
                " && find . -name __pycache__ -prune -exec rm -rf {} +"
                f" && {_VENV}/bin/python -c '{WARM_UP[engine]}'",
                "",
                "FROM base-container",
                f"COPY --from=packages {_VENV} {_VENV}",
                f"ENV VIRTUAL_ENV={_VENV} PATH={_VENV}/bin:$PATH BENTOML_DO_NOT_TRACK=True",
                *(["ENV CLIPSTACK_MODEL=shapes"] if model is None else []),
                "HEALTHCHECK --interval=10s --timeout=10s --start-period=180s --retries=3 CMD "
                + json.dumps([f"{_VENV}/bin/python", "-c", _HEALTH_CHECK]),
            ]
        )
    )
    return container


def _requirement(name: str) -> str:
    """`name` pinned to the version installed here: the same code gives the same vectors."""
    try:
        return f"{name}=={metadata.version(name).partition('+')[0]}"
    except metadata.PackageNotFoundError:
        return name
