"""HTTP that the service and the search page share: request bodies, and errors as responses."""
