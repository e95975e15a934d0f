"""One module a topic; `scripts.validate` finds those that have a `check(repository)`."""
