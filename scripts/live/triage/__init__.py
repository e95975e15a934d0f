"""`make triage`: what fires in a cluster, and what the queries of its runbooks show."""
