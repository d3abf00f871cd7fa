"""A picture file in, upright RGB pixels out."""
