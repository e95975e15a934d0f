"""`make validate` and `make render`: what must be true of every cluster."""
