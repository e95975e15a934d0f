"""Dashboards of the Todo AI Chatbot as code: `python -m dashboards_py` writes `base/dashboards/`.

A dashboard is a module in `dashboards_py.dashboards` that says its title, its uid and its rows.
Everything below it exists once: a metric in `metrics`, a question in `queries`, a panel's looks in
`panels`, sizes in `layout`, and what Grafana's JSON wants in `grafana`.
"""
