"""`make scale`: what more nodes, more clusters and more months need, on real servers."""
