"""Made-up pictures into rclip's own database, by its own code: the seconds it took, out.

python fill_rclip.py DATABASE START END DIMENSION FOLDER [ORIGINALS]
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from rclip.db import DB, NewImage
from rclip.main import RClip

sys.path.insert(0, str(Path(__file__).parents[1]))
import synthetic


def main(
    database: str, start: str, end: str, dimension: str, folder: str, originals: str = ""
) -> None:
    files = Path(originals) if originals else None
    seconds, written = 0.0, 0
    db = DB(database)
    for pictures, vectors in synthetic.blocks(int(start), int(end), int(dimension), folder, files):
        images = [
            NewImage(
                filepath=picture.path,
                modified_at=picture.mtime,
                size=picture.size,
                vector=vector.tobytes(),
                hash=picture.digest,
            )
            for picture, vector in zip(pictures, vectors, strict=True)
        ]
        started = time.perf_counter()
        for image in images:
            db.upsert_image(image, commit=False)
        written += len(images)
        if written >= RClip.DB_IMAGES_BEFORE_COMMIT:
            db.commit()
            written = 0
        seconds += time.perf_counter() - started
    started = time.perf_counter()
    db.close()
    print(json.dumps({"seconds": seconds + time.perf_counter() - started}))


if __name__ == "__main__":
    main(*sys.argv[1:])
