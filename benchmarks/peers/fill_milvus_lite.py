"""Made-up pictures into a collection on Milvus Lite, by a clipstack of before the local index: the
seconds it took, out. Run by that clipstack's Python, with its source tree in PYTHONPATH.

    python fill_milvus_lite.py DATABASE MODEL AT_ONCE START END FOLDER [ORIGINALS]

The collection is made when START is 0.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from clipstack.index.database import Database
from clipstack.index.store import Store

from clipstack.encoders.models import describe, resolve
from clipstack.index import collections
from clipstack.index.schema import Row, row_id

sys.path.append(str(Path(__file__).parents[1]))
import synthetic


def main(
    database: str,
    model: str,
    at_once: str,
    start: str,
    end: str,
    folder: str,
    originals: str = "",
) -> None:
    info = describe(resolve(model, download=False))
    files = Path(originals) if originals else None
    size, seconds = int(at_once), 0.0
    with Database(Path(database), wait=30) as opened:
        name = "images"
        if start == "0":
            about = collections.create(opened.client, name, info, "COSINE")
        else:
            about = collections.get_info(opened.client, name)
        store = Store(opened.client, about)
        blocks = synthetic.blocks(int(start), int(end), info.dimension, folder, files)
        for pictures, vectors in blocks:
            rows = [
                Row(id=row_id(picture.path), vector=vector, **picture.fields())
                for picture, vector in zip(pictures, vectors, strict=True)
            ]
            started = time.perf_counter()
            for at in range(0, len(rows), size):
                store.add(rows[at : at + size])
            seconds += time.perf_counter() - started
        started = time.perf_counter()
    print(json.dumps({"seconds": seconds + time.perf_counter() - started}))


if __name__ == "__main__":
    main(*sys.argv[1:])
