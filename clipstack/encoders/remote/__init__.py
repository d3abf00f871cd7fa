"""Encoder services over HTTP: one, or a pool of them."""
