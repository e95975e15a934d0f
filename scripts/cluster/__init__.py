"""Clusters of plain processes: `make e2e`, `make rehearse`, `make capture`."""
