"""Guardrails of other libraries, run over exchanges in an environment of their own, one rail at a time."""
