"""The index on this machine: rows in SQLite, vectors in memory-mapped files, no server."""
