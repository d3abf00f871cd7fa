"""A sink that keeps the notes of a task."""

from __future__ import annotations

from clipstack.events import Events


class Notes(Events):
    """Attributes: texts: of all notes, in order."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)
