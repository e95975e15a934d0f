"""One module for each dashboard: `todo_logs` makes the uid `todo-logs`. There is no list of them.

A module sets `DASHBOARD = dashboard(uid=…, title=…, folder=…, rows=[…], …)`.
"""
