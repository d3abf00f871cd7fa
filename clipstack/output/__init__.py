"""Results in, what a person or a program reads out. The only folder that imports rich."""
