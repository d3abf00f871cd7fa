"""A place to write in, random models of every family out; nothing is downloaded."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
from pathlib import Path

import pytest

MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]
SENTENCES = [
    "a photo of a dog",
    "a photo of a cat on the grass, in the sun",
    "two red boats by the quay at night",
    "An OLD house; a green door!",
    "das ist ein kleines schwarzes Pferd",
    "people walk along the street in the rain",
]


def openai_preprocessor(size: int = 224) -> dict:
    """preprocessor_config.json as in openai/clip-vit-base-patch32."""
    return {
        "crop_size": size,
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": MEAN,
        "image_std": STD,
        "resample": 3,
        "size": size,
    }


def siglip_preprocessor(size: int, resample: int) -> dict:
    """preprocessor_config.json as in google/siglip-base-patch16-224 (3) and siglip2's (2)."""
    return {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "SiglipImageProcessor",
        "image_std": [0.5, 0.5, 0.5],
        "processor_class": "SiglipProcessor",
        "resample": resample,
        "rescale_factor": 0.00392156862745098,
        "size": {"height": size, "width": size},
    }


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")


def edit_json(path: Path, **changes: object) -> None:
    write_json(path, json.loads(path.read_text("utf-8")) | changes)


def bytes_to_unicode() -> list[str]:
    """The 256 symbols of byte-level BPE, in the order of OpenAI's vocabulary."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    extra = range(256 - len(kept))
    return [chr(code) for code in kept] + [chr(256 + code) for code in extra]


def _clip_tokenizer(folder: Path, merges: list[tuple[str, str]], length: int = 77) -> int:
    """Write tokenizer.json and its config; returns the number of tokens."""
    from transformers import CLIPTokenizer

    symbols = bytes_to_unicode()
    words = [*symbols, *(symbol + "</w>" for symbol in symbols), *("".join(m) for m in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=length)
    tokenizer.save_pretrained(folder)
    return len(words)


def openai_merges() -> list[tuple[str, str]]:
    """OpenAI's merges, from the copy that open_clip_torch carries; the test is skipped without."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        pytest.skip("pip install --no-deps open_clip_torch  # carries OpenAI's vocabulary")
    packed = Path(spec.origin).parent / "bpe_simple_vocab_16e6.txt.gz"
    lines = gzip.decompress(packed.read_bytes()).decode("utf-8").split("\n")
    pairs = [line.split() for line in lines[1 : 49152 - 256 - 2 + 1]]
    return [(left, right) for left, right in pairs]


def _save(model, folder: Path) -> None:
    model.eval().save_pretrained(folder)


def tiny_clip(folder: Path, *, seed: int = 0, eos_token_id: int | None = None) -> Path:
    """A CLIP of 32 x 32 pixels and 24 numbers with a byte-level vocabulary."""
    import torch
    from transformers import CLIPConfig, CLIPModel

    tokens = _clip_tokenizer(folder, [("t", "h"), ("th", "e</w>"), ("o", "g")], length=32)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    eos = tokens - 1 if eos_token_id is None else eos_token_id
    config = CLIPConfig(
        text_config=size
        | {"vocab_size": tokens, "num_attention_heads": 4, "max_position_embeddings": 32}
        | {"eos_token_id": eos, "bos_token_id": tokens - 2, "pad_token_id": 1},
        vision_config=size | {"num_attention_heads": 4, "image_size": 32, "patch_size": 8},
        projection_dim=24,
        initializer_factor=5.0,
    )
    torch.manual_seed(seed)
    _save(CLIPModel(config), folder)
    write_json(folder / "preprocessor_config.json", openai_preprocessor(32))
    return folder


def _tiny_siglip(folder: Path, tokens: int, preprocessor: dict, seed: int) -> Path:
    import torch
    from transformers import SiglipConfig, SiglipModel

    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    config = SiglipConfig(
        text_config=size
        | {"vocab_size": tokens, "num_attention_heads": 4, "max_position_embeddings": 64},
        vision_config=size | {"num_attention_heads": 4, "image_size": 32, "patch_size": 8},
    )
    torch.manual_seed(seed)
    _save(SiglipModel(config), folder)
    write_json(folder / "preprocessor_config.json", preprocessor)
    return folder


def tiny_siglip(folder: Path, *, seed: int = 1) -> Path:
    """A SigLIP with a SentencePiece vocabulary, as google/siglip-base-patch16-224 has."""
    sentencepiece = pytest.importorskip("sentencepiece")
    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 20),
        model_prefix=str(folder / "spiece"),
        vocab_size=80,
        pad_id=1,
        eos_id=2,
        unk_id=0,
        bos_id=-1,
        pad_piece="<pad>",
        eos_piece="</s>",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (folder / "spiece.vocab").unlink()
    write_json(
        folder / "tokenizer_config.json",
        {
            "do_lower_case": True,
            "eos_token": "</s>",
            "model_input_names": ["input_ids"],
            "model_max_length": 64,
            "pad_token": "</s>",
            "processor_class": "SiglipProcessor",
            "tokenizer_class": "SiglipTokenizer",
            "unk_token": "<unk>",
        },
    )
    return _tiny_siglip(folder, 100, siglip_preprocessor(32, 3), seed)


def tiny_siglip2(folder: Path, *, seed: int = 2, tokenizer_class: str = "GemmaTokenizer") -> Path:
    """A SigLIP 2: model_type siglip with a Gemma-like tokenizer.json that ends texts in <eos>."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    letters = sorted({letter for text in SENTENCES for letter in (text + text.lower())} - {" "})
    words = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *letters]
    merges = [("t", "h"), ("▁", "a"), ("o", "g")]
    words += ["".join(pair) for pair in merges]
    vocabulary = {word: number for number, word in enumerate(words)}
    bpe = models.BPE(vocabulary, merges, fuse_unk=True, unk_token="<unk>", byte_fallback=True)
    tokenizer = Tokenizer(bpe)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    tokenizer.add_special_tokens(special)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "add_bos_token": False,
            "add_eos_token": True,
            "bos_token": "<bos>",
            "eos_token": "<eos>",
            "model_input_names": ["input_ids"],
            "model_max_length": 64,
            "pad_token": "<pad>",
            "padding_side": "right",
            "processor_class": "SiglipProcessor",
            "tokenizer_class": tokenizer_class,
            "unk_token": "<unk>",
        },
    )
    return _tiny_siglip(folder, len(words), siglip_preprocessor(32, 2), seed)


def vit_b_32(cache: Path | None = None) -> Path:
    """A CLIP of the size and config of openai/clip-vit-base-patch32, weights random (605 MB).

    Made once and kept under the user's cache folder, or `cache`.
    """
    import torch
    from platformdirs import user_cache_path
    from transformers import CLIPConfig, CLIPModel

    folder = (cache or user_cache_path("clipstack-tests")) / "vit-b-32-random-1"
    if (folder / "preprocessor_config.json").is_file():
        return folder
    merges = openai_merges()
    part = folder.with_name(f"{folder.name}.{os.getpid()}")
    part.mkdir(parents=True, exist_ok=True)
    _clip_tokenizer(part, merges)
    text = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    torch.manual_seed(20)
    _save(CLIPModel(CLIPConfig(text_config=text, projection_dim=512)), part)
    write_json(part / "preprocessor_config.json", openai_preprocessor())
    try:
        part.rename(folder)
    except OSError:  # another test process was first
        if not folder.is_dir():
            raise
    return folder


def into_hub_cache(home: Path, repo: str, model: Path, commit: str = "0" * 39 + "1") -> Path:
    """Lay a model folder out as huggingface_hub does under HF_HOME; returns the snapshot."""
    root = home / "hub" / f"models--{repo.replace('/', '--')}"
    snapshot = root / "snapshots" / commit
    blobs = root / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(commit, encoding="ascii")
    for number, file in enumerate(sorted(model.iterdir())):
        blob = blobs / f"{number:040x}"
        blob.write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(Path("../../blobs") / blob.name)
    return snapshot
