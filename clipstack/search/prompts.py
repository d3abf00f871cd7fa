"""The name of a prompt, or a template, in; the texts a model is given for some words out."""

from __future__ import annotations

from clipstack.errors import UsageError

PHOTO = "a photo of a {}"
# The seven that OpenAI's notebook found by forward selection to do best together over 80: "7 best
# templates", https://github.com/openai/CLIP/blob/main/notebooks/Prompt_Engineering_for_ImageNet.ipynb
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
    """The templates of a prompt; a text's vector is the mean of its normalised vectors in each.

    Args:
        prompt: none, photo, ensemble, or a template with {}.

    Raises:
        UsageError: it is neither a name nor a template.
    """
    if prompt in _NAMED:
        return _NAMED[prompt]
    if "{}" not in prompt:
        raise UsageError(
            f"--prompt {prompt!r}: there is no {{}} in it for the words",
            hint=f'It is {", ".join(_NAMED)}, or a template such as "{PHOTO}".',
        )
    return (prompt,)


def filled(template: str, text: str) -> str:
    """`template` with the words in it."""
    return template.replace("{}", text)
