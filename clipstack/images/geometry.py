"""The shape of the pixels that a model reads, and how a picture gets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a picture of any size becomes the pixels one model reads.

    Attributes:
        resize: "shortest" scales the shorter edge to `size` and keeps the aspect ratio;
            "exact" scales to `size` x `size` whatever the aspect ratio; "within" scales down to
            at most `size` and keeps the aspect ratio, for pictures that people look at.
        size: (height, width) in pixels of the resize; for "shortest" both are the shorter edge.
        crop: (height, width) in pixels cut from the centre, or None to keep all.
        resample: Pillow's number of the filter (2 bilinear, 3 bicubic).
    """

    resize: Literal["shortest", "exact", "within"]
    size: tuple[int, int]
    crop: tuple[int, int] | None
    resample: int

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Geometry:
        """The geometry in a JSON object that was made by `dataclasses.asdict`.

        Raises:
            ValueError, TypeError, KeyError, IndexError: the object is not one.
        """
        crop = values["crop"]
        return cls(
            resize="exact" if values["resize"] == "exact" else "shortest",
            size=(int(values["size"][0]), int(values["size"][1])),
            crop=(int(crop[0]), int(crop[1])) if crop else None,
            resample=int(values["resample"]),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels of what the model reads; for "within" the most it can be."""
        return self.crop or self.size

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) in pixels that a picture of that size is scaled to, before the crop.

        The longer edge is rounded down, as `get_resize_output_image_size` of Hugging Face
        transformers does.
        """
        if self.resize == "exact":
            return self.size
        if self.resize == "within":
            scale = min(1.0, self.size[0] / height, self.size[1] / width)
            return max(1, round(height * scale)), max(1, round(width * scale))
        short, long = min(height, width), max(height, width)
        edge = self.size[0]
        other = int(edge * long / short)
        return (other, edge) if height > width else (edge, other)

    def turned(self, orientation: int) -> Geometry:
        """The same for a picture that is stored under an EXIF orientation, 1 to 8."""
        if orientation < 5:
            return self
        crop = (self.crop[1], self.crop[0]) if self.crop else None
        return Geometry(self.resize, (self.size[1], self.size[0]), crop, self.resample)
