"""`clipstack ARGS` that decodes every JPEG at its full size: what `draft` saves, by comparison."""

from __future__ import annotations

from PIL import JpegImagePlugin

from clipstack.__main__ import main

if __name__ == "__main__":
    JpegImagePlugin.JpegImageFile.draft = lambda *_: None  # type: ignore[method-assign]
    main()
