"""The BentoML service, for `bentoml serve service:svc` and `bentoml build`.

`svc` and `vectorization` are two names of one service, `clip_image_vectorizer`.
"""

from clipstack.service.bento import svc, vectorization

__all__ = ["svc", "vectorization"]
