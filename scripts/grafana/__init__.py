"""Dashboards as Grafana reads, queries and draws them."""
