"""Commands for a real cluster: discover, secrets, preflight, verify, kind."""
