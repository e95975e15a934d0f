"""`make diff`: what a change of this repository changes in the clusters, before it is merged.

Both revisions are built and rendered through the charts as every check here does it; `model` is
what all outputs are made from.
"""
