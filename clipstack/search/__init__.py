"""Search: the pictures of a collection that fit a query best."""

from clipstack.search.filters import Filters
from clipstack.search.near import Near
from clipstack.search.query import Query, Term, check_limit
from clipstack.search.ranking import Group
from clipstack.search.searcher import Result, Searcher, open_searcher, search

__all__ = [
    "Filters",
    "Group",
    "Near",
    "Query",
    "Result",
    "Searcher",
    "Term",
    "check_limit",
    "open_searcher",
    "search",
]
