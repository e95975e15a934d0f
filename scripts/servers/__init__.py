"""Servers as processes on loopback: Prometheus, Loki, Kubernetes, Git, a registry, a browser."""
