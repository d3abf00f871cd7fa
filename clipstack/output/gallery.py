"""The hits of a search as one HTML page, with thumbnails inside and links to the pictures."""

from __future__ import annotations

import base64
import hashlib
import html
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from clipstack.errors import ImageError
from clipstack.output import captions
from clipstack.output.out import printable
from clipstack.output.scores import better
from clipstack.thumbnail_cache import MEDIA_TYPE, ThumbnailCache

if TYPE_CHECKING:
    from clipstack.index.base import Hit
    from clipstack.search.searcher import SearchResult

_EDGE = 384
_WORKERS = 4

_STYLE = """
:root { color-scheme: light dark; --tile: 15rem; }
body { margin: 0; padding: 1.5rem; font: 1rem/1.5 system-ui, sans-serif;
  background: light-dark(#fafafa, #161618); color: light-dark(#1b1b1f, #e6e6ea); }
h1 { margin: 0 0 .25rem; font-size: 1.5rem; overflow-wrap: anywhere; }
header p { margin: .25rem 0; color: light-dark(#55555c, #a6a6b0); overflow-wrap: anywhere; }
code { font: .875rem/1.5 ui-monospace, monospace; padding: .1rem .35rem; border-radius: .25rem;
  background: light-dark(#ececf0, #26262b); }
ol { list-style: none; margin: 1.5rem 0 0; padding: 0; display: grid; gap: 1.25rem;
  grid-template-columns: repeat(auto-fill, minmax(min(var(--tile), 100%), 1fr)); }
@media (max-width: 40rem) { :root { --tile: 9rem; } body { padding: 1rem; } }
figure { margin: 0; }
a { color: inherit; }
a.picture, .missing { display: grid; place-items: center; aspect-ratio: 1; border-radius: .5rem;
  background: light-dark(#ececf0, #202024); overflow: hidden; }
a.picture:focus-visible { outline: 3px solid light-dark(#1a5fb4, #78aeed); outline-offset: 2px; }
img { max-width: 100%; max-height: 100%; object-fit: contain; }
.missing { color: light-dark(#8a3b12, #f0a878); padding: 1rem; text-align: center; }
figcaption { padding-top: .4rem; font-size: .875rem; }
figcaption b { font-variant-numeric: tabular-nums; }
.name { display: block; overflow-wrap: anywhere; }
.folder { display: block; font-size: .75rem; color: light-dark(#66666e, #9a9aa4);
  overflow-wrap: anywhere; }
"""


def gallery_html(
    result: SearchResult,
    *,
    command: str,
    target: str,
    thumbnails: ThumbnailCache,
) -> str:
    """A self-contained HTML page without scripts; its policy would let none run.

    Args:
        command: the command line of the search.
        thumbnails: the cache of thumbnails.
    """
    title = captions.title(result.query)
    items = list(_items(result, thumbnails))
    metric = result.collection.metric
    now = datetime.now().astimezone()
    summary = [
        f"{len(items)} {'picture' if len(items) == 1 else 'pictures'}",
        f"{target}, collection {result.collection.name}",
        f"model {result.collection.model}",
        f"{metric}, {better(metric)} is better",
    ]
    list_items = "\n".join(items) if items else "<li>No picture fits.</li>"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{_text(title)} - clipstack</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>{_text(title)}</h1>
<p><code>{_text(command)}</code></p>
<p>{_text(" · ".join(summary))} · <time datetime="{now.isoformat(timespec="seconds")}">\
{now:%Y-%m-%d %H:%M}</time></p>
</header>
<main>
<ol>
{list_items}
</ol>
</main>
</body>
</html>
"""


def _policy() -> str:
    style = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{style}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _items(result: SearchResult, thumbnails: ThumbnailCache) -> list[str]:
    def read(hit: Hit) -> bytes | ImageError:
        try:
            return thumbnails.get(hit.path, _EDGE)
        except ImageError as error:
            return error

    pool = ThreadPoolExecutor(_WORKERS)
    try:
        pictures = pool.map(read, result.hits)
        return [
            _item(rank, score, hit, picture)
            for (rank, score, hit), picture in zip(captions.ranked(result), pictures, strict=True)
        ]
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for thousands more


def _item(rank: int, score: str, hit: Hit, picture: bytes | ImageError) -> str:
    path = Path(hit.path)
    link = _text(path.as_uri())
    name = _text(path.name)
    if isinstance(picture, ImageError):
        media = f'<div class="missing">{_text(str(picture.reason))}</div>'
    else:
        data = base64.b64encode(picture).decode()
        media = (
            f'<a class="picture" href="{link}"><img src="data:{MEDIA_TYPE};base64,{data}" '
            f'alt="{name}"></a>'
        )
    caption = f"<b>{rank}</b> · {score} · {hit.width}x{hit.height}"
    return (
        f"<li><figure>{media}<figcaption>{caption}"
        f'<a class="name" href="{link}">{name}</a>'
        f'<span class="folder">{_text(str(path.parent))}</span></figcaption></figure></li>'
    )


def _text(text: str) -> str:
    """`text` escaped for HTML, in or between tags; control characters and invalid bytes too."""
    return html.escape(printable(text))
