"""Embeddings over HTTP: `images/` and `encoders/` behind a BentoML service.

Importing `clipstack.service.bento` creates the service.
"""
