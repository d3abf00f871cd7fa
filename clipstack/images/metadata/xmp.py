"""XMP data in; title, description and subjects out."""

from __future__ import annotations

from typing import NamedTuple
from xml.parsers import expat

_DC = "http://purl.org/dc/elements/1.1/"
_RDF_LI = "http://www.w3.org/1999/02/22-rdf-syntax-ns# li"
_PROPERTIES = {f"{_DC} {name}": name for name in ("title", "description", "subject")}
_MOST_BYTES = 1 << 20
_MOST_TEXTS = 64
_MOST_CHARACTERS = 4000


class XmpTexts(NamedTuple):
    """Texts as they are written; of several languages the default one comes first."""

    title: tuple[str, ...] = ()
    description: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()


class _RefusedError(Exception):
    """The XML declares a document type: only that can make a small text large."""


def read(data: bytes) -> XmpTexts:
    """The Dublin Core texts of an XMP packet; of a broken packet those before the fault.

    Entities and document types are refused, so nothing is expanded or fetched.

    Source: ISO 16684-1 (XMP), 8.3, and its arrays of rdf:li in 7.7.
    """
    if _DC.encode() not in data or len(data) > _MOST_BYTES:
        return XmpTexts()
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.add_text
    try:
        parser.Parse(data.strip(b"\0 \r\n\t"), True)
    except (expat.ExpatError, UnicodeError):
        pass
    except _RefusedError:
        return XmpTexts()
    return XmpTexts(**{name: tuple(texts) for name, texts in reader.texts.items()})


def _refuse(*_: object) -> None:
    raise _RefusedError


class _Reader:
    """Collects the texts of the properties: of each rdf:li, or of a property that has none."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {name: [] for name in _PROPERTIES.values()}
        self._property = ""
        self._text = ""
        self._is_default = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in _PROPERTIES:
            self._property = _PROPERTIES[name]
        elif name != _RDF_LI:
            return
        self._text = ""
        language = attributes.get("http://www.w3.org/XML/1998/namespace lang", "")
        self._is_default = language == "x-default"

    def add_text(self, text: str) -> None:
        if self._property and len(self._text) < _MOST_CHARACTERS:
            self._text += text[:_MOST_CHARACTERS]

    def end(self, name: str) -> None:
        if not self._property or (name != _RDF_LI and name not in _PROPERTIES):
            return
        texts = self.texts[self._property]
        if self._text.strip() and len(texts) < _MOST_TEXTS:
            texts.insert(0 if self._is_default else len(texts), self._text)
        self._text = ""
        if name in _PROPERTIES:
            self._property = ""
