"""`make preflight`: checks that compare what the stack needs with what a cluster has."""
