"""CLIP in PyTorch, loaded by transformers."""
