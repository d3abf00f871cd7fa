"""Prompts: templates that a text is put into before it is encoded."""

from __future__ import annotations

from clipstack.errors import UsageError

PHOTO = "a photo of a {}"
# "7 best templates" of 80, by the forward selection in OpenAI's notebook:
# https://github.com/openai/CLIP/blob/main/notebooks/Prompt_Engineering_for_ImageNet.ipynb
ENSEMBLE = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
_NAMED = {"none": ("{}",), "photo": (PHOTO,), "ensemble": ENSEMBLE}


def templates(prompt: str) -> tuple[str, ...]:
    """The templates of a prompt. The vector of a text is the mean of its normalised vectors in all.

    Args:
        prompt: none, photo, ensemble, or a template with {}.

    Raises:
        UsageError: `prompt` is neither a name nor a template.
    """
    if prompt in _NAMED:
        return _NAMED[prompt]
    if "{}" not in prompt:
        raise UsageError(
            f"--prompt {prompt!r}: there is no {{}} in it for the words",
            hint=f'It is {", ".join(_NAMED)}, or a template such as "{PHOTO}".',
        )
    return (prompt,)


def fill(template: str, text: str) -> str:
    """The template with the words of `text` in it."""
    return template.replace("{}", text)
