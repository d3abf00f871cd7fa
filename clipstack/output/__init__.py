"""Views of results, and how they are written; the only folder that imports rich."""
