"""`make diff`: what a change of this repository changes in the clusters, before it is merged."""
