"""Text and JSON with secrets in; the same without them out."""

from __future__ import annotations

import base64
import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from clipstack import settings as layers
from clipstack.settings import SECRET, Settings, stack_variables

REMOVED = "(removed)"
_SHORTEST = 4
_HARMLESS = ("", "(set)", REMOVED, "null", "true", "false")
_WORDS = (
    r"pass(?:word|wd|phrase)?|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|"
    r"credentials?|authorization|cookie|signature"
)
_SECRET_NAME = re.compile(rf"(?:{_WORDS})", re.IGNORECASE)
_NOT_SECRET = re.compile(r"tokens|tokenizer|context|authorization_?enabled", re.IGNORECASE)
# NAME=value, NAME: value, "NAME": "value"; an authorization's scheme belongs to the value.
_ASSIGNED = re.compile(
    rf"""(?P<name>["']?[\w.-]*(?:{_WORDS})[\w.-]*["']?\s*[:=]\s*)"""
    r"""(?P<value>"[^"\n]*"|'[^'\n]*'|(?:(?:Bearer|Basic|AWS4-HMAC-SHA256)\s+)?[^\s,;&"'}\]]+)""",
    re.IGNORECASE,
)
_OPTION = re.compile(rf"(?P<name>--[\w-]*(?:{_WORDS})[\w-]*\s+)(?P<value>[^\s-]\S*)", re.IGNORECASE)
_PATTERNS = tuple(
    re.compile(pattern, flags)
    for pattern, flags in (
        (r"(?<=://)(?P<value>[^/\s@\"']+)@", 0),
        (r"\b(?:Bearer|Basic)\s+(?P<value>[A-Za-z0-9+/=._~-]{8,})", re.IGNORECASE),
        (r"(?P<value>\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*)", 0),
        (r"(?P<value>\b(?:AKIA|ASIA)[A-Z0-9]{16}\b)", 0),
        (r"(?P<value>\b(?:hf|ghp|gho|github_pat|sk|xox[abp])[_-]\w[\w-]{15,})", 0),
        (
            r"(?P<value>-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----)",
            re.DOTALL,
        ),
    )
)


class Redactor:
    """Takes known secrets, and all that looks like one, out of what is to be handed on.

    Args:
        secrets: values that must not appear, in whatever form.
        home: this user's home folder, shown as ~.
    """

    def __init__(self, secrets: Iterable[str], home: str = "") -> None:
        values = {value for value in secrets if len(value) >= _SHORTEST}
        forms = {form for value in values for form in _forms(value)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if forms else None
        home = home or str(Path.home())
        self._home = re.compile(re.escape(home) + r"(?![\w.-])") if home != "/" else None

    def text(self, text: str) -> str:
        """`text` without secrets and without the home folder's name."""
        parts, at = [], 0
        for start, end in _merged(self._spans(text)):
            parts += [text[at:start], REMOVED]
            at = end
        cleaned = "".join([*parts, text[at:]])
        return self._home.sub("~", cleaned) if self._home else cleaned

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where secrets stand. All are looked for in the text as it came: one that is a common
        word must not hide the name that gives another away."""
        if self._known:
            yield from (match.span() for match in self._known.finditer(text))
        for pattern in _PATTERNS:
            yield from (match.span("value") for match in pattern.finditer(text))
        for pattern in (_ASSIGNED, _OPTION):
            for match in pattern.finditer(text):
                bare = match["value"].strip("\"'")
                if bare not in _HARMLESS and is_secret(match["name"]):
                    start = match.start("value") + match["value"].index(bare)
                    yield start, start + len(bare)

    def value(self, found: Any, name: str = "") -> Any:
        """A JSON value without secrets; `name` is the key it stands under."""
        if isinstance(found, Mapping):
            return {self.text(str(key)): self.value(one, str(key)) for key, one in found.items()}
        if isinstance(found, list | tuple):
            before = ["", *found]
            return [
                REMOVED
                if _is_secret_option(option) and isinstance(one, str)
                else self.value(one, name)
                for option, one in zip(before, found, strict=False)
            ]
        if isinstance(found, str):
            hidden = bool(found) and found != "(set)" and is_secret(name)
            return REMOVED if hidden else self.text(found)
        return found


def is_secret(name: str) -> bool:
    """Whether a variable or key of this name may hold a secret."""
    return bool(_SECRET_NAME.search(_NOT_SECRET.sub("", name)))


def _is_secret_option(before: object) -> bool:
    """Whether the next item of a command line, taken apart, is a secret."""
    return isinstance(before, str) and before[:1] == "-" and "=" not in before and is_secret(before)


def known_secrets(settings: Settings) -> set[str]:
    """Every secret this user's settings, stacks and environment hold."""
    found = {str(getattr(settings, name)) for name in SECRET}
    found |= {value for name, value in os.environ.items() if is_secret(name)}
    found |= {value for name, value in settings.stack.items() if is_secret(name)}
    for file in _files(settings):
        # By their text: also of targets that are not in use, and where the file is broken.
        with contextlib.suppress(OSError):
            text = file.read_text("utf-8", "replace")
            found |= {match["value"].strip("\"'") for match in _ASSIGNED.finditer(text)}
    # Of user:password the password alone is one too.
    return found | {value.partition(":")[2] for value in found if ":" in value}


def _files(settings: Settings) -> list[Path]:
    """Settings files, and those with the credentials of stacks."""
    origins = {Path(origin.partition(" [")[0]) for origin in settings.origins.values()}
    named = {layers.user_file(), *filter(None, [layers.project_file()]), *origins}
    files = [path for path in named if path.is_file()]
    return files + [stack_variables.stack_file(project) for project in stack_variables.projects()]


def _forms(value: str) -> set[str]:
    """A secret as it stands, in a URL, and in base64 (as Milvus and HTTP send it)."""
    coded = base64.b64encode(value.encode("utf-8", "surrogateescape")).decode()
    return {value, quote(value, safe=""), quote(value), coded, coded.rstrip("=")}


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
