"""Picture files to upright RGB pixels."""
