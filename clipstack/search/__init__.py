"""A query in, the pictures of a collection that fit it best out."""

from clipstack.search.filters import Filters
from clipstack.search.near import Near
from clipstack.search.query import Query, Term, check_limit
from clipstack.search.ranking import Group
from clipstack.search.searcher import Result, Searcher, search

__all__ = [
    "Filters",
    "Group",
    "Near",
    "Query",
    "Result",
    "Searcher",
    "Term",
    "check_limit",
    "search",
]
