"""Dashboards as Grafana reads them: model, interpolation, evaluation, drawing."""
