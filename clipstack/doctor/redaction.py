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
from clipstack.errors import ClipstackError
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
    """Removes known secrets, and what looks like one, from text and JSON.

    Args:
        secrets: values that must not appear, in any encoding.
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
        """`text` without secrets and without the name of the home folder."""
        parts, at = [], 0
        for start, end in _merged(self._spans(text)):
            parts += [text[at:start], REMOVED]
            at = end
        cleaned = "".join([*parts, text[at:]])
        return self._home.sub("~", cleaned) if self._home else cleaned

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """The places of secrets. All are searched in the original text: a secret that is a common
        word must not hide the name of another secret."""
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

    def value(self, value: Any, name: str = "") -> Any:
        """A JSON value without secrets.

        Args:
            name: the value's key.
        """
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item, str(key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [
                REMOVED
                if _is_secret_option(previous) and isinstance(item, str)
                else self.value(item, name)
                for previous, item in zip(["", *value], value, strict=False)
            ]
        if isinstance(value, str):
            is_hidden = bool(value) and value != "(set)" and is_secret(name)
            return REMOVED if is_hidden else self.text(value)
        return value


def is_secret(name: str) -> bool:
    """Whether a variable or key of this name may hold a secret."""
    return bool(_SECRET_NAME.search(_NOT_SECRET.sub("", name)))


def _is_secret_option(item: object) -> bool:
    """Whether an item of a command line is an option whose value, the next item, is a secret."""
    return isinstance(item, str) and item[:1] == "-" and "=" not in item and is_secret(item)


def known_secrets(settings: Settings) -> set[str]:
    """The secrets in this user's settings, stacks and environment."""
    secrets = {str(getattr(settings, name)) for name in SECRET}
    secrets |= {value for name, value in os.environ.items() if is_secret(name)}
    secrets |= {value for name, value in settings.stack.items() if is_secret(name)}
    for file in _files(settings):
        # Their text, for the secrets of other targets and of files with errors.
        with contextlib.suppress(OSError):
            text = file.read_text("utf-8", "replace")
            secrets |= {match["value"].strip("\"'") for match in _ASSIGNED.finditer(text)}
    for project in stack_variables.projects():  # its file has them escaped
        with contextlib.suppress(ClipstackError):
            saved = stack_variables.variables(project, {}, {})
            secrets |= {value for name, value in saved.items() if is_secret(name)}
    # The password of user:password is a secret too.
    return secrets | {value.partition(":")[2] for value in secrets if ":" in value}


def _files(settings: Settings) -> list[Path]:
    """Settings files, and the files with credentials of stacks."""
    origins = {Path(origin.partition(" [")[0]) for origin in settings.origins.values()}
    paths = {layers.user_file(), *filter(None, [layers.project_file()]), *origins}
    files = [path for path in paths if path.is_file()]
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
