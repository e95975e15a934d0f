"""What changes as clusters grow: logs on object storage and replicas, metrics of many clusters."""
