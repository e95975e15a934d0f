"""`python -m scripts.lab.scale.logs`: Loki on object storage and replicas, as real processes."""
