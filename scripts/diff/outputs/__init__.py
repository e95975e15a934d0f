"""The report for a terminal, for a comment and as a page, each made from the model alone."""
