"""The report for a terminal, for a comment, as a page and as data, each of the model alone."""

# The files that --output writes, for a pull request, for its artifact and for programs.
MARKDOWN, PAGE, DATA = "report.md", "report.html", "report.json"
