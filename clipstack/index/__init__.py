"""Embeddings in, stored rows and search hits out. The only folder that imports pymilvus."""
