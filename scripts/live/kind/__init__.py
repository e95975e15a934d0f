"""This commit on a kind cluster with real pods, as one of the engines syncs it.

Once everything is ready, Grafana's home page is opened in a browser, pictured and measured. The
cluster is deleted at the end, whatever happened.
"""
