"""Conditions on rows: a syntax tree, its text, and its translations to SQL and to Milvus."""
