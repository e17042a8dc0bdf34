"""Scoring: identity, signals and embedding of every exchange; then redaction of all that leaves."""
