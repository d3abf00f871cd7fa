"""Rows between collections and files, and between the collections of two targets."""
