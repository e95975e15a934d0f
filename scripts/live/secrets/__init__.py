"""`make secrets`: the Secrets that a cluster needs, created by kubectl or encrypted by SOPS."""
