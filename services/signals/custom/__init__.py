"""Signals that a monitor file defines, without code: `signals` of the file."""
