"""What every program needs and no Kubernetes: findings, YAML, quantities, programs, waiting."""
