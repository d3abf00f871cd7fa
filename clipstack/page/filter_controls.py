"""The form controls of the filters, as HTML."""

from __future__ import annotations

from html import escape

from clipstack.search.filters import FILTERS, Control, Filter

_SECTIONS = ("short", "long", "expert")


def insert_controls(html: str) -> str:
    """Put the controls of each section in place of a comment such as `<!-- filters: short -->`."""
    for section in _SECTIONS:
        controls = [_labelled(each) for each in FILTERS if each.control.section == section]
        if section == "short":
            controls = [f"<div>{control}</div>" for control in controls]
        html = html.replace(f"<!-- filters: {section} -->", "\n".join(controls))
    return html


def _labelled(filter: Filter) -> str:
    name, control = filter.name, filter.control
    shared = f'id="{name}" name="{name}" data-filter'
    if control.placeholder:
        shared += f' placeholder="{escape(control.placeholder)}"'
    return f'<label for="{name}">{escape(control.label)}</label>' + _field(control, shared)


def _field(control: Control, attributes: str) -> str:
    if control.kind == "select":
        options = "".join(f"<option>{escape(choice)}</option>" for choice in control.choices())
        return f'<select {attributes}><option value="">any</option>{options}</select>'
    if control.kind == "textarea":
        return f'<textarea {attributes} rows="2" spellcheck="false"></textarea>'
    if control.kind == "number":
        return f'<input {attributes} type="number" min="0" step="1" inputmode="numeric">'
    mode = ' inputmode="numeric"' if control.kind == "date" else ""
    return f'<input {attributes} type="text"{mode}>'
