"""The questions that dashboards ask, a module for each subject, a function for each question.

Every function returns a `Query` that reads the dashboard's variables; nothing else in this package
contains PromQL or LogQL.
"""
