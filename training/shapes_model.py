"""The model `shapes` with random weights, its tokenizer, and the folder that transformers loads."""

import json
import random
from pathlib import Path

import torch
from PIL import Image
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

from clipstack.scenes import ATTRIBUTES, combinations

IMAGE_SIZE = 64
PATCH_SIZE = 8
WIDTH = 128
TEXT_LENGTH = 32
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)

# The end token must not have number 2: with that number transformers takes a text's vector from
# the token with the highest number instead of from the end token.
PAD, UNKNOWN, START, END = SPECIAL_TOKENS = ("<pad>", "<unk>", "<start>", "<end>")


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer that knows the words of the captions; any other word is the unknown token."""
    rng = random.Random(0)
    words: set[str] = set()
    for scene in combinations():
        names = rng.sample(sorted(ATTRIBUTES), rng.randint(1, len(ATTRIBUTES)))
        words.update(scene.partial_caption(rng, names).replace(",", " ").split())
    vocabulary = {token: number for number, token in enumerate((*SPECIAL_TOKENS, *sorted(words)))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"[^\w]+"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        special_tokens=[(token, vocabulary[token]) for token in (START, END)],
    )
    assert vocabulary[END] != 2, "see SPECIAL_TOKENS"
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=START,
        eos_token=END,
        model_max_length=TEXT_LENGTH,
    )


def build_model(tokenizer: PreTrainedTokenizerFast) -> CLIPModel:
    """The model with random weights."""
    width = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_attention_heads": 4}
    config = CLIPConfig(
        text_config={
            **width,
            "num_hidden_layers": 2,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": TEXT_LENGTH,
            "projection_dim": WIDTH,
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={
            **width,
            "num_hidden_layers": 4,
            "image_size": IMAGE_SIZE,
            "patch_size": PATCH_SIZE,
            "projection_dim": WIDTH,
        },
        projection_dim=WIDTH,
    )
    model = CLIPModel(config)
    # Starting from places that are already told apart, the model learns position and shape several
    # times faster than from the small random numbers transformers puts there.
    with torch.no_grad():
        model.vision_model.embeddings.position_embedding.weight[1:] = place_vectors()
    return model


def place_vectors() -> torch.Tensor:
    """One vector per patch of a picture (patches, width): waves along its column and its row."""
    side = IMAGE_SIZE // PATCH_SIZE
    frequencies = 64 ** -torch.linspace(0, 1, WIDTH // 4)
    angles = torch.arange(side)[:, None] * frequencies
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows, columns = waves[:, None].expand(-1, side, -1), waves[None].expand(side, -1, -1)
    return 0.3 * torch.cat([columns, rows], dim=2).reshape(side * side, WIDTH)


def save(model: CLIPModel, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write the folder that transformers loads."""
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)  # safetensors makes it readable by its owner only
    tokenizer.save_pretrained(out)
    # A name that versions 4 and 5 of transformers both know.
    settings_file = out / "tokenizer_config.json"
    settings = json.loads(settings_file.read_text(encoding="utf-8"))
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    settings_file.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    preprocessing = {
        "image_processor_type": "CLIPImageProcessor",
        "processor_class": "CLIPProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": IMAGE_SIZE},
        "resample": int(Image.Resampling.BICUBIC),
        "do_center_crop": True,
        "crop_size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(MEAN),
        "image_std": list(DEVIATION),
    }
    (out / "preprocessor_config.json").write_text(
        json.dumps(preprocessing, indent=2) + "\n", encoding="utf-8"
    )
