"""Processor configs, old and new, against the geometry and numbers read from them."""

from __future__ import annotations

import pytest

from clipstack.encoders.models.catalog import describe
from clipstack.encoders.models.preprocessing import read_preprocessing
from clipstack.errors import PrerequisiteError
from clipstack.images.geometry import Geometry
from tests import models

SQUARE = {"height": 224, "width": 224}
CROPPED = Geometry("shortest", (224, 224), (224, 224), 3)


def read(folder, config, name="preprocessor_config.json", model_type="clip"):
    models.write_json(folder / name, config)
    return read_preprocessing(folder, model_type)


def test_openais_old_style(tmp_path):
    rules = read(tmp_path, models.openai_preprocessor())
    assert rules.geometry == CROPPED
    assert rules.rescale == 1 / 255
    assert rules.mean == tuple(models.MEAN)
    assert rules.std == tuple(models.STD)


def test_siglips_style(tmp_path):
    rules = read(tmp_path, models.siglip_preprocessor(224, 2), model_type="siglip")
    assert rules.geometry == Geometry("exact", (224, 224), None, 2)
    assert (rules.mean, rules.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("changes", "geometry"),
    [
        ({}, CROPPED),
        ({"size": {"shortest_edge": 224}, "crop_size": SQUARE}, CROPPED),
        ({"size": 256}, Geometry("shortest", (256, 256), (224, 224), 3)),
        ({"size": SQUARE, "do_center_crop": False}, Geometry("exact", (224, 224), None, 3)),
        (
            {"size": {"height": 240, "width": 260}, "crop_size": {"height": 200, "width": 220}},
            Geometry("exact", (240, 260), (200, 220), 3),
        ),
        ({"resample": 2}, Geometry("shortest", (224, 224), (224, 224), 2)),
        ({"size": {"shortest_edge": 224, "longest_edge": None}}, CROPPED),
        ({"image_processor_type": "CLIPImageProcessorFast"}, CROPPED),
    ],
)
def test_geometry(tmp_path, changes, geometry):
    assert read(tmp_path, models.openai_preprocessor() | changes).geometry == geometry


@pytest.mark.parametrize("model_type", ["clip", "siglip"])
def test_an_empty_config_has_transformers_defaults(tmp_path, model_type):
    """Against the processor classes themselves."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    theirs = {"clip": CLIPImageProcessorPil, "siglip": SiglipImageProcessorPil}[model_type]()
    ours = read(tmp_path, {}, model_type=model_type)
    assert ours.mean == tuple(theirs.image_mean)
    assert ours.std == tuple(theirs.image_std)
    assert ours.rescale == theirs.rescale_factor
    assert ours.geometry.resample == int(theirs.resample)
    if theirs.do_center_crop:
        assert ours.geometry.crop == (theirs.crop_size["height"], theirs.crop_size["width"])
        assert ours.geometry.size == (theirs.size["shortest_edge"],) * 2
    else:
        assert ours.geometry.size == (theirs.size["height"], theirs.size["width"])


def test_the_nested_config_of_newer_models_goes_first(tmp_path):
    nested = {"image_processor": models.openai_preprocessor() | {"resample": 2}}
    models.write_json(tmp_path / "preprocessor_config.json", models.openai_preprocessor())
    assert read(tmp_path, nested, "processor_config.json").geometry.resample == 2


def test_a_processor_config_without_the_nested_part_is_passed_over(tmp_path):
    models.write_json(tmp_path / "preprocessor_config.json", models.openai_preprocessor())
    rules = read(tmp_path, {"processor_class": "CLIPProcessor"}, "processor_config.json")
    assert rules.geometry == CROPPED


def test_steps_switched_off_are_neutral(tmp_path):
    off = {"do_rescale": False, "do_normalize": False}
    rules = read(tmp_path, models.openai_preprocessor() | off)
    assert (rules.rescale, rules.mean, rules.std) == (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_processor_type": "ViTImageProcessor"}, "does not know: ViTImageProcessor"),
        ({"feature_extractor_type": "OwlViTFeatureExtractor"}, "OwlViTImageProcessor"),
        ({"do_resize": False}, "does not resize"),
        ({"do_center_crop": False}, "does not crop"),
        ({"do_pad": True}, "do_pad"),
        ({"crop_size": 256}, "larger than size"),
        ({"size": {"longest_edge": 224}}, "neither shortest_edge nor"),
        ({"size": "224"}, "neither shortest_edge nor"),
        ({"size": 0}, "not a number of pixels"),
        ({"crop_size": {"height": 224}}, "width"),
        ({"image_mean": [0.5, 0.5]}, "image_mean must be three numbers"),
        ({"image_std": [0.5, 0.0, 0.5]}, "above 0"),
        ({"resample": 9}, "none of Pillow's filters"),
        ({"rescale_factor": 0}, "above 0"),
    ],
)
def test_rules_that_can_not_be_followed(tmp_path, changes, words):
    with pytest.raises(PrerequisiteError, match=words) as caught:
        read(tmp_path, models.openai_preprocessor() | changes)
    assert "preprocessor_config.json" in caught.value.message


def test_a_preprocessor_of_another_model_is_noticed(copied):
    models.write_json(copied / "preprocessor_config.json", models.openai_preprocessor(224))
    with pytest.raises(PrerequisiteError, match=r"32 x 32 .* 224 x 224"):
        describe(copied)
