"""Pictures and texts over HTTP in, vectors out: `images/` and `encoders/` as a BentoML service.

The service itself is made where `clipstack.service.bento` is imported.
"""
