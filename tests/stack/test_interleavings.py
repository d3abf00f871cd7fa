"""Whatever happens to a stack, the next `up` brings it back with its data, and nothing is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stack.interleavings import Interleavings
from tests.stack.stacks import Stack, removed

pytestmark = [pytest.mark.usefixtures("stack_images"), pytest.mark.slow]
SEED = 4
INTERLEAVINGS = 4


def test_interleavings(tmp_path: Path) -> None:
    with removed(Stack(tmp_path, "clipstack-test-interleavings")) as stack:
        interleavings = Interleavings(stack, SEED)
        for _ in range(INTERLEAVINGS):
            print(f"seed {SEED}:", *interleavings.run(), sep="; ")
