"""Model files: their names, the Hugging Face hub, configuration, weights and fingerprints."""
