"""Metrics of more clusters and months: Thanos beside Prometheus alone, on simulated days."""
