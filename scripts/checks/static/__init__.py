"""`make validate`: checks of what the tree declares, one module a topic, without any chart."""
