"""`make bench`: how long targets take, and what dashboards and rules cost."""
