"""A query in, the pictures of a collection that fit it best out."""

from clipstack.search.filters import Filters
from clipstack.search.query import Query, Term, check_limit
from clipstack.search.searcher import Result, search

__all__ = ["Filters", "Query", "Result", "Term", "check_limit", "search"]
