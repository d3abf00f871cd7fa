"""Models of the Hugging Face hub, in its cache or downloaded into it."""

from __future__ import annotations

import math
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipstack import interrupts
from clipstack.encoders.models.weights import INDEXES, WHOLE
from clipstack.errors import ClipstackError, NotFoundError, PrerequisiteError
from clipstack.events import SILENT, Events
from clipstack.retry import InterruptError

"""Called with the bytes done and the bytes in all."""

CONFIG_FILES = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
)
_ID = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
PATIENCE = 5.0  # seconds to wait for the hub's first answer
_SIGNAL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class HubName:
    """A model of the hub: `organisation/name`, and a branch, tag or commit ("" is `main`)."""

    repo: str
    revision: str

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision}" if self.revision else self.repo


def parse(name: str) -> HubName | None:
    """`id` or `id@revision` as a HubName, or None for what can't be one."""
    match = _ID.fullmatch(name)
    if match is None or ".." in name:
        return None
    return HubName(match["id"], match["revision"] or "")


def cache_folder() -> Path:
    """The folder of the hub's cache, by the rules of huggingface_hub's constants.py."""
    env = os.environ
    above = env.get("XDG_CACHE_HOME", str(Path("~/.cache").expanduser()))
    home = _expanded(env.get("HF_HOME", f"{above}/huggingface"))
    older = env.get("HUGGINGFACE_HUB_CACHE", str(Path(home, "hub")))
    return Path(_expanded(env.get("HF_HUB_CACHE", older)))


def _expanded(path: str) -> str:
    return os.path.expandvars(os.path.expanduser(path))  # noqa: PTH111 - the library's order


def offline() -> bool:
    """Whether the user has switched the hub off."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in {"1", "ON", "YES", "TRUE"}


def cached(name: HubName) -> Path | None:
    """The snapshot folder of a model that is in the cache, whole or not; the commit is its name.

    Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
    """
    repo = cache_folder() / f"models--{name.repo.replace('/', '--')}"
    revision = name.revision or "main"
    commit = revision
    if not _COMMIT.fullmatch(revision):
        try:
            commit = (repo / "refs" / revision).read_text("utf-8").strip()
        except OSError:
            return None
    snapshot = repo / "snapshots" / commit
    return snapshot if commit and snapshot.is_dir() else None


def cached_snapshots() -> Iterator[tuple[HubName, Path]]:
    """Every model snapshot in the cache; the name has no revision where `main` points to it."""
    for repo in sorted(cache_folder().glob("models--*--*")):
        name = repo.name.removeprefix("models--").replace("--", "/", 1)
        main = cached(HubName(name, ""))
        for snapshot in sorted((repo / "snapshots").glob("*")):
            if snapshot.is_dir():
                yield HubName(name, "" if snapshot == main else snapshot.name), snapshot


def download(name: HubName, events: Events = SILENT, patience: float = PATIENCE) -> Path:
    """Fetch the files a dual encoder needs into the cache; those already there are kept.

    Weights in safetensors are preferred to PyTorch's own; those of other frameworks are ignored.

    Args:
        name: what to fetch.
        events: reports the bytes that have arrived.
        patience: seconds to wait for the hub's first answer; HF_HUB_ETAG_TIMEOUT overrides it.

    Returns:
        The snapshot folder.

    Raises:
        PrerequisiteError: the hub can't be reached, or asks for a login.
        NotFoundError: the hub has no such model or revision.
        ClipstackError: the download failed half-way; the next one goes on from there.
    """
    if offline():
        raise unavailable(name, "HF_HUB_OFFLINE is set")
    from huggingface_hub import HfApi

    patience = float(os.environ.get("HF_HUB_ETAG_TIMEOUT") or patience)
    try:
        info = _within(
            patience,
            lambda: HfApi().model_info(
                name.repo, revision=name.revision or None, files_metadata=True, timeout=patience
            ),
        )
    except Exception as error:
        raise _hub_error(name, error) from error
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
    files = needed(list(sizes))
    return _fetch(name, files, sum(sizes[file] for file in files), events)


def needed(files: list[str]) -> list[str]:
    """Of a repository's files, those that encode pictures and texts.

    Raises:
        PrerequisiteError: there are no weights among them that PyTorch reads.
    """
    configs = [name for name in files if name in CONFIG_FILES]
    for file, index in zip(WHOLE, INDEXES, strict=True):
        if file in files:
            return [*configs, file]
        if index in files:
            stem, suffix = file.split(".")
            part = re.compile(rf"{stem}-\d+-of-\d+\.{suffix}")
            return [*configs, index, *filter(part.fullmatch, files)]
    raise PrerequisiteError(
        f"the model has neither {WHOLE[0]} nor {WHOLE[1]}",
        hint="clipstack reads models in the format of transformers, not open_clip's or ONNX.",
    )


def _fetch(name: HubName, files: list[str], total: int, events: Events) -> Path:
    from huggingface_hub import snapshot_download

    try:
        # In a thread, which a signal leaves behind: it would wait for files that are under way.
        folder = _within(
            math.inf,
            lambda: snapshot_download(
                name.repo,
                revision=name.revision or None,
                allow_patterns=files,
                tqdm_class=_bar(name, events, total),
            ),
        )
    except Exception as error:
        raise _hub_error(name, error) from error
    return Path(folder)


def _bar(name: HubName, events: Events, total: int) -> Any:
    """A silent bar for snapshot_download that reports the bytes to `events`.

    Of the several bars it makes, the one of this name counts the bytes of all files on disk.
    """
    from huggingface_hub import utils as hub_utils

    utils: Any = hub_utils

    class Bar(utils.tqdm):  # type: ignore[misc]  # only its subclasses are told the bar's name
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.counts = kwargs.get("name") == "huggingface_hub.snapshot_download"
            self.done = 0
            super().__init__(*args, **kwargs | {"disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            if self.counts:
                self.done += int(n or 0)
                events.download(str(name), min(self.done, total), total)
            return None

    return Bar


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """`call()`, given up after a time that also bounds name look-ups and a host's many addresses.

    Raises:
        TimeoutError: no answer in time.
        InterruptError: a signal has ended this process.
    """
    outcome: dict[str, Any] = {}

    def work() -> None:
        try:
            outcome["value"] = call()
        except Exception as error:  # handed to the caller's thread
            outcome["error"] = error

    thread = threading.Thread(target=work, daemon=True, name="hub")
    thread.start()
    until = time.monotonic() + seconds
    while thread.is_alive() and (left := until - time.monotonic()) > 0:
        thread.join(min(left, _SIGNAL_SECONDS))
        if interrupts.received():
            raise InterruptError
    if "error" in outcome:
        raise outcome["error"]
    if "value" not in outcome:
        raise TimeoutError(f"no answer in {seconds:g} seconds")
    return outcome["value"]


def _hub_error(name: HubName, error: Exception) -> ClipstackError:
    from huggingface_hub import errors

    if isinstance(error, ClipstackError):
        return error
    if isinstance(error, errors.GatedRepoError):
        return PrerequisiteError(
            f"the model {name} is behind a form on the hub",
            hint=f"Accept its terms at https://huggingface.co/{name.repo}, then `hf auth login`.",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return NotFoundError(f"the model {name.repo} has no revision {name.revision}")
    if isinstance(error, errors.RepositoryNotFoundError):
        return NotFoundError(
            f"the hub has no model {name.repo}, or it is private",
            hint="`clipstack models list` shows models to choose from; for a private one, "
            "`hf auth login` or set HF_TOKEN.",
        )
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return ClipstackError(f"the model {name} can't be stored: {error}")
    return unavailable(name, _why(error))


def _why(error: BaseException) -> str:
    text = str(error.__cause__ or error).strip().splitlines()
    return f"the hub can't be reached: {text[0] if text else type(error).__name__}"


def unavailable(name: HubName, why: str) -> PrerequisiteError:
    """The error for a model that is neither cached nor available, with three ways out."""
    return PrerequisiteError(
        f"the model {name} is not on this machine" + (f", and {why}" if why else ""),
        hint=f"1. Go online, or set HF_ENDPOINT to a mirror, and type "
        f"`clipstack models pull {name}`.\n"
        "2. Copy a model folder from another machine and use `--model /path/to/folder`.\n"
        "3. Use `--model shapes`, the small built-in model, to try things.",
    )
