"""Search: the pictures of a collection that fit a query best."""
