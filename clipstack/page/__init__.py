"""Settings in; a search page for a browser, over HTTP, out."""
