"""What this repository does to its own manifests: build, check, render, measure."""
