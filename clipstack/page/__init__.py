"""The search page that `clipstack page` serves to a browser."""
