"""`make prove` and `make preview`: a simulated cluster, and what panels and alerts make of it."""
