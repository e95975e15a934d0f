"""Dashboards of the Todo AI Chatbot as code: `python -m dashboards_py` writes `base/dashboards/`.

A dashboard is a module in `dashboards_py.dashboards` with its title, its uid and its rows. Metrics
are declared in `metrics`; queries are functions in `queries`; `panels` makes panels, `layout`
places them, and `grafana` writes the JSON.
"""
