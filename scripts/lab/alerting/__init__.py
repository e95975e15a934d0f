"""Who would have been told what, and when, on a simulated day: `make prove` judges and prints it.

`firing` collects the alerts: Prometheus' rules were evaluated as the day was made, those of Loki
are asked of a real Loki. `delivery` gives it to Alertmanager's own code with the template's routes
(`scripts/tools/notifications`). `faults` says which alert notifies of which fault, and compares.
"""
