"""HTTP that the service and the page share: bodies of requests, and errors as responses."""
