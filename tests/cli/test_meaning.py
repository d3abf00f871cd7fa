"""The model `shapes` finds the scene a caption describes, on combinations it never saw."""

from __future__ import annotations

import random
from pathlib import Path

from clipstack.scenes import held_out_scenes
from tests.running import Cli

COUNT = 200


def test_captions_of_held_out_scenes(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "held out"
    folder.mkdir()
    scenes = held_out_scenes(COUNT)
    for number, scene in enumerate(scenes):
        scene.draw(random.Random(number)).save(folder / f"{number}.png")
    assert cli("import", folder, "-m", "shapes", mode="json").json["counts"]["new"] == COUNT
    ranks = []
    for number, scene in enumerate(scenes):
        caption = scene.caption(random.Random(1000 + number))
        found = cli("search", caption, "-k", "5", mode="quiet").out.splitlines()
        names = [Path(path).stem for path in found]
        ranks.append(names.index(str(number)) if str(number) in names else COUNT)
    first = sum(rank == 0 for rank in ranks) / COUNT
    five = sum(rank < 5 for rank in ranks) / COUNT
    assert (first >= 0.90, five >= 0.98) == (True, True), (first, five)
