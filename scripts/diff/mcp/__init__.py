"""Three tools for an assistant that helps to review a change: what `make diff` has to say of it."""
