"""`make verify`: the seconds until Grafana's home page has data after its pod is deleted."""
