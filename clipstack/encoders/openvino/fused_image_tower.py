"""An image tower that gives the vectors of another with less arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from clipstack.encoders.torch.encoder import TorchEncoder


def fuse_image_tower(encoder: TorchEncoder) -> None:
    """Change the model in place: its image tower then reads uint8 [n, height, width, 3].

    The patches are cut from the bytes as they lie and multiplied by the weights of the first
    convolution, which take the normalisation in: a product where there were a transposition, an
    affine map and a convolution. CLIP reads its vector from one token (Radford et al. 2021,
    section 2.4), so its last layer computes that token only: 7 % of ViT-B/32's arithmetic.
    """
    vision = encoder.model.vision_model
    vision.embeddings = _Embeddings(vision.embeddings, encoder.scale, encoder.shift)
    if encoder.info.family == "clip":
        vision.encoder.layers[-1] = _FirstToken(vision.encoder.layers[-1])


class _Embeddings(nn.Module):
    """The patches' embeddings and, for CLIP, that of the class token in front of them."""

    def __init__(self, before: Any, scale: torch.Tensor, shift: torch.Tensor) -> None:
        super().__init__()
        convolution = before.patch_embedding
        weight = convolution.weight.detach().double()  # [width, 3, size, size]
        self.size = int(convolution.kernel_size[0])
        self.scaled = nn.Parameter(
            (weight * scale.double()).permute(0, 2, 3, 1).flatten(1).float(), requires_grad=False
        )
        shifted = (weight * shift.double()).sum((1, 2, 3))
        positions = before.position_embedding.weight.detach().double().clone()
        start = len(positions) - before.num_patches
        positions[start:] += shifted
        if convolution.bias is not None:
            positions[start:] += convolution.bias.detach()
        self.positions = nn.Parameter(positions[start:].float(), requires_grad=False)
        self.first: nn.Parameter | None = None
        if start:
            first = (positions[:1] + before.class_embedding.detach()).float()
            self.first = nn.Parameter(first.unsqueeze(0), requires_grad=False)

    def forward(self, pixel_values: torch.Tensor, **_: Any) -> torch.Tensor:
        count, height, width, _colours = pixel_values.shape
        rows, columns = height // self.size, width // self.size
        cropped = pixel_values[:, : rows * self.size, : columns * self.size]
        cells = cropped.reshape(count, rows, self.size, columns, self.size * 3).transpose(2, 3)
        patches = cells.reshape(count, rows * columns, -1).to(torch.float32)
        embedded = nn.functional.linear(patches, self.scaled) + self.positions
        if self.first is None:
            return embedded
        return torch.cat([self.first.expand(count, -1, -1), embedded], dim=1)


class _FirstToken(nn.Module):
    """An encoder layer of CLIP that gives its first token only, [n, 1, width]."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden_states: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        attention = self.layer.self_attn
        first = hidden_states[:, :1]
        normed = self.layer.layer_norm1(hidden_states)
        count = hidden_states.shape[0]

        def heads(values: torch.Tensor) -> torch.Tensor:
            return values.view(count, -1, attention.num_heads, attention.head_dim).transpose(1, 2)

        attended = nn.functional.scaled_dot_product_attention(
            heads(attention.q_proj(normed[:, :1])),
            heads(attention.k_proj(normed)),
            heads(attention.v_proj(normed)),
            scale=attention.scale,
        )
        first = first + attention.out_proj(attended.transpose(1, 2).reshape(count, 1, -1))
        output: torch.Tensor = first + self.layer.mlp(self.layer.layer_norm2(first))
        return output
