"""Pictures drawn on a terminal."""
