"""Imports: files are scanned, decoded, encoded and upserted."""
