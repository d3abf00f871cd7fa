"""The machine a bento is built on in, the image it becomes and the model it carries out.

BentoML 1.4 draws the Dockerfile itself, and leaves no way to add to it but commands to `RUN`. (Its
`dockerfile_template` is refused by `bentoml containerize`: it looks for the template outside the
current folder, and does not allow that.) It writes those commands as they are, so lines
that follow a command become lines of the Dockerfile. With them the packages are installed in a
stage of their own, and the image gets only what is used, and a health check. See docs/adr/0006.
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
VARIABLE = "CLIPSTACK_BENTO_MODEL"
"""Names the stored model that a bento built now carries; else the newest `clip_model`."""

ENGINE = "CLIPSTACK_BENTO_ENGINE"
"""Names the engine of a bento built now, "openvino" or "torch"; else the one this machine has."""

PYTHON = "3.11"
PACKAGES = (
    *("tokenizers", "sentencepiece", "numpy", "pillow", "opencv-python-headless", "platformdirs"),
    *("huggingface_hub",),
)
"""What `clipstack.images` and `clipstack.encoders` import; the rest comes with BentoML."""
OF_ENGINE = {
    "openvino": ("openvino",),
    "torch": ("torch", "transformers", "safetensors", "protobuf"),
}

# uv reads these when the image is built just as when its versions were locked.
_UV = ("UV_TORCH_BACKEND", "UV_INDEX_STRATEGY")

_VENV = "/app/.venv"
# Tests and headers of PyTorch and others; OpenVINO's devices that no CPU image has, and its readers
# of other formats.
_UNUSED = (
    *(f"openvino/libs/libopenvino_{name}_plugin.so*" for name in ("intel_gpu", "intel_npu")),
    *(f"openvino/libs/libopenvino_{name}_frontend.so*" for name in ("pytorch", "tensorflow")),
    *(f"openvino/libs/libopenvino_{name}_frontend.so*" for name in ("onnx", "paddle", "jax")),
    "openvino/libs/libopenvino_intel_npu*",
    *("torch/test", "torch/include", "torch/share", "torch/bin/test_*", "torch/bin/*Test"),
    *("torch/bin/protoc*", "*/tests", "*/*/tests"),
)
# uv compiles everything, which is 230 MB of byte code, most of it for models of transformers that
# are never loaded. What this imports is compiled again; the service's user can't write there.
_WARM_UP = {
    "openvino": "import bentoml, cv2, PIL.Image, openvino, tokenizers, _bentoml_impl.server.app",
    "torch": (
        "import bentoml, cv2, PIL.Image, torch, transformers.models.auto, "
        "_bentoml_impl.server.app, transformers.models.clip.modeling_clip, "
        "transformers.models.siglip.modeling_siglip"
    ),
}
_HEALTH = (
    "import os, urllib.request as u; "
    "p = os.environ.get('PORT') or os.environ.get('BENTOML_PORT') or '3000'; "
    "u.urlopen('http://127.0.0.1:' + p + '/readyz', timeout=8)"
)


def model() -> BentoModel | None:
    """The stored model that a bento built now carries, for an attribute of the service class.

    None where the store has none; `image` then has the bento serve the built-in `shapes`.

    Raises:
        bentoml.exceptions.NotFound: CLIPSTACK_BENTO_MODEL names a model that is not stored.
    """
    import bentoml
    from bentoml.models import BentoModel

    named = os.environ.get(VARIABLE, "")
    if named:
        return BentoModel(bentoml.models.get(named).tag)
    reference = BentoModel(f"{MODEL}:latest")
    return reference if reference.stored is not None else None


def image(model: BentoModel | None) -> Image:
    """The image of a bento that carries `model`, or the built-in `shapes` for None."""
    from bentoml.images import Image

    engine = os.environ.get(ENGINE) or choose("auto", "cpu")
    made = Image(base_image=f"python:{PYTHON}-slim", distro="", python_version=PYTHON)
    settings = [f"ENV {name}={os.environ[name]}" for name in _UV if os.environ.get(name)]
    made.run("\n".join(["true", "", "FROM base-container AS packages", *settings]))
    made.python_packages(*(_pinned(name) for name in (*PACKAGES, *OF_ENGINE[engine])))
    packages = f"{_VENV}/lib/python{PYTHON}/site-packages"
    made.run(
        "\n".join(
            [
                f"cd {packages} && rm -rf {' '.join(_UNUSED)}"
                " && find . -name __pycache__ -prune -exec rm -rf {} +"
                f" && {_VENV}/bin/python -c '{_WARM_UP[engine]}'",
                "",
                "FROM base-container",
                f"COPY --from=packages {_VENV} {_VENV}",
                f"ENV VIRTUAL_ENV={_VENV} PATH={_VENV}/bin:$PATH BENTOML_DO_NOT_TRACK=True",
                *(["ENV CLIPSTACK_MODEL=shapes"] if model is None else []),
                "HEALTHCHECK --interval=10s --timeout=10s --start-period=180s --retries=3 CMD "
                + json.dumps([f"{_VENV}/bin/python", "-c", _HEALTH]),
            ]
        )
    )
    return made


def _pinned(name: str) -> str:
    """`name` at the version that is installed here: the same code gives the same vectors."""
    try:
        return f"{name}=={metadata.version(name).partition('+')[0]}"
    except metadata.PackageNotFoundError:
        return name
