"""Real programs as processes on loopback: Prometheus, Loki, Kubernetes, Git, registry, browser."""
