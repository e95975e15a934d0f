"""The queries of all dashboards: one module for each subject, one function for each query.

The queries read the dashboards' variables (`matchers`). Docstrings say what a query returns, and
its unit where it is not a plain count.
"""
