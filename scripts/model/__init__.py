"""What the tree declares and what comes of it: manifests, charts, rendered objects, budgets."""
