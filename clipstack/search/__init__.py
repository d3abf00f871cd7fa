"""Search: the pictures of a collection that fit a query best."""

from clipstack.search.filters import Filters
from clipstack.search.geo import GeoCircle
from clipstack.search.query import Query, Term, check_limit
from clipstack.search.ranking import Group
from clipstack.search.searcher import Searcher, SearchResult, open_searcher, search

__all__ = [
    "Filters",
    "GeoCircle",
    "Group",
    "Query",
    "SearchResult",
    "Searcher",
    "Term",
    "check_limit",
    "open_searcher",
    "search",
]
