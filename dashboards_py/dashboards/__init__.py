"""One module for each dashboard, found by itself; module `todo_logs` makes uid `todo-logs`.

A module sets `DASHBOARD = dashboard(uid=…, title=…, folder=…, rows=[…], …)`.
"""
