"""`make prove`: every query of every dashboard, on a real Prometheus and a real Loki.

A simulated day (`scripts.simulation`) is what the servers hold; the dashboards are the
committed JSON. Between the two stands what a browser would do, and no more: Grafana's variables,
time ranges and steps (`grafana.timing`) and its requests (`grafana.evaluation`). `checks` says what
is wrong with the answers; `ground_truth` compares their values with what is true of the day, and
`colours` finds panels that warn on the healthy one.
"""
