"""Whether what a query names is in a collection at all: `--min-score auto` beside simpler ways.

    python benchmarks/cutoff.py [--quick]

On scenes encoded with `shapes` and on made vectors, 100 concepts that are in the collection and as
many that are not for each line. The simpler ways get the bound that tells most apart, known only
afterwards and another for each line; the cut-off has its own. Prints Markdown.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import common
import numpy as np

METHODS = (
    "highest score",
    "less their mean, by their deviation",
    "less their median, by their MAD",
    "the same, lower half alone, by the maximum expected",
    "less the phrases' highest, by its deviation",
)
OWN = "`--min-score auto`"


@dataclass
class Seen:
    """What one query gave.

    Attributes:
        values: of each of METHODS; higher is more likely there.
        far: of the cut-off.
    """

    present: bool
    values: list[float]
    far: float


def look(cases: Iterable, phrases: np.ndarray) -> Iterator[Seen]:
    """Search for every case in its collection, by COSINE."""
    from clipstack.search.cutoff import SAMPLE, Cutoff

    of, cutoff, unit, others = None, None, None, None
    for case in cases:
        if case.vectors is not of:
            of = case.vectors
            unit = of / np.linalg.norm(of, axis=1, keepdims=True)
            sample = np.random.default_rng(0).permutation(len(of))[:SAMPLE]
            cutoff = Cutoff(of[sample], len(of), phrases, "COSINE")
            near = phrases / np.linalg.norm(phrases, axis=1, keepdims=True)
            others = (unit[sample] @ near.T).max(axis=0)
        query = case.query / np.linalg.norm(case.query)
        scores = np.sort((unit @ query).astype(np.float64))[::-1]
        far = cutoff.significance(case.query, scores[: cutoff.best])[0]
        yield Seen(case.present, simple(scores, others), float(far))


def simple(scores: np.ndarray, others: np.ndarray) -> list[float]:
    """One value for each of METHODS."""
    top, middle = scores[0], float(np.median(scores))
    low = scores[scores <= middle]
    half = math.sqrt(float(np.mean((low - middle) ** 2))) or 1e-9
    return [
        top,
        (top - scores.mean()) / scores.std(),
        (top - middle) / (1.4826 * float(np.median(np.abs(scores - middle)))),
        (top - middle) / half / math.sqrt(2 * math.log(len(scores))),
        (top - others.mean()) / others.std(),
    ]


def best_bound(values: np.ndarray, present: np.ndarray) -> tuple[float, float]:
    """The shares told apart of the present and of the absent, with the bound best for both."""
    found = [((values[present] >= b).mean(), (values[~present] < b).mean()) for b in values]
    return max(found, key=min)


def line(seen: list[Seen]) -> list[str]:
    present = np.array([one.present for one in seen])
    cells = []
    for number in range(len(METHODS)):
        values = np.array([one.values[number] for one in seen])
        cells.append("{:.2f} / {:.2f}".format(*best_bound(values, present)))
    there = np.array([one.far > 0 for one in seen])
    recall = there[present].mean()
    precision = there[present].sum() / max(1, there.sum())
    cells.append(f"**{recall:.2f} / {(~there[~present]).mean():.2f}**")
    cells.append(f"{precision:.2f}")
    return cells


def all_lines(quick: bool) -> list[list[str]]:
    from clipstack import encoders
    from clipstack.encoders.models import catalog
    from clipstack.search import background_phrases
    from tests.concepts import Made, Scenes

    rounds = 1 if quick else 5
    encoder = encoders.load(catalog.describe(catalog.resolve("shapes", download=False)))
    phrases = background_phrases.vectors(encoder.info, lambda: encoder)
    common.say("Drawing and encoding scenes")
    scenes = Scenes(encoder, 3000 if quick else 8000)
    lines = []
    by_parts: dict[int, list[Seen]] = defaultdict(list)
    for size in (200, 1000) if quick else (200, 500, 1000, 3000):
        common.say(f"shapes, {size} rows")
        every = []
        for number in range(rounds):
            cases = list(scenes.cases(20, (size,), 20 + number))
            for case, seen in zip(cases, look(cases, phrases), strict=True):
                every.append(seen)
                by_parts[case.parts].append(seen)
        lines.append([f"`shapes`, {size:,} rows", *line(every)])
    for parts, name in ((1, "one attribute"), (2, "two"), (3, "three")):
        lines.append([f"of these, {name}", *line(by_parts[parts])])
    made = Made()
    phrases, words = made.background()
    for rows in (200, 2000) if quick else (200, 2000, 20_000, 100_000):
        common.say(f"made, {rows} rows")
        collections = 4 * rounds if rows < 50_000 else 4
        seen = [
            one for _ in range(collections) for one in look(made.cases(rows, words, 25), phrases)
        ]
        lines.append([f"made, {rows:,} rows", *line(seen)])
    return lines


def main(show: Callable[[str], None] = print) -> None:
    asked = common.options(__doc__).parse_args()
    machine = common.machine()
    table = common.table(["collection", *METHODS, OWN, "its precision"], all_lines(asked.quick))
    show(f"\n{machine}\n\n{table}\n\nEach cell: of the present found / of the absent not found.")


if __name__ == "__main__":
    main()
