"""The evaluate step: which suites are run against which target, and when."""
