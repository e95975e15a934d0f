"""What the tree declares, and what results from it: manifests, charts, pods, budgets, Secrets."""
