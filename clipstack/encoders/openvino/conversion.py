"""The conversion of a model from PyTorch to OpenVINO, in a process that `export` starts."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from clipstack.encoders.base import ModelInfo
from clipstack.encoders.models.catalog import ModelFolder, describe
from clipstack.encoders.openvino.export import (
    IMAGES,
    MANIFEST,
    PROBE_TEXTS,
    PROBES,
    SCHEMA,
    TEXTS,
    VOCABULARY,
    probe_pictures,
)
from clipstack.encoders.openvino.tracing import save_tokenizer, trace
from clipstack.encoders.torch.encoder import TorchEncoder
from clipstack.errors import ClipstackError


def write(info: ModelInfo, folder: Path) -> None:
    """Export a model into an empty folder; loads it with PyTorch.

    Raises:
        PrerequisiteError: it can't be loaded.
    """
    import openvino

    encoder = TorchEncoder(info, device="cpu")
    np.savez(
        folder / PROBES,
        images=encoder.encode_images(probe_pictures(info)),
        texts=encoder.encode_texts(PROBE_TEXTS),
    )
    images, texts, vocabulary = trace(encoder)
    openvino.save_model(images, folder / IMAGES, compress_to_fp16=False)
    openvino.save_model(texts, folder / TEXTS, compress_to_fp16=False)
    np.save(folder / VOCABULARY, vocabulary)
    text = save_tokenizer(encoder, folder)
    manifest = {
        "schema": SCHEMA,
        "fingerprint": info.fingerprint,
        "info": {
            "dimension": info.dimension,
            "family": info.family,
            "geometry": asdict(info.geometry),
            "context_length": info.context_length,
        },
        "openvino": openvino.__version__,
        "text": text,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")


def _main(name: str, folder: str, revision: str, out: str) -> int:
    model = ModelFolder(name, Path(folder), "hub" if revision else "folder", revision)
    try:
        write(describe(model), Path(out))
    except ClipstackError as error:
        sys.stdout.write(json.dumps({"message": error.message, "hint": error.hint}))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(_main(*sys.argv[1:]))
