"""Rows of a dashboard that has too many for one module; `dashboards` puts them together."""
