"""One module a topic; `scripts.checks.validate` finds those that have a `check(repository)`."""
