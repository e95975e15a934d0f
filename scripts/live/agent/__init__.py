"""`make agent-kubeconfig`, `make agent-mcp`: rights to read that end, for an assistant."""
