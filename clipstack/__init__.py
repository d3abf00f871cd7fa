"""Search pictures by what is in them: a folder in, the right files out."""

__version__ = "0.1.0"
