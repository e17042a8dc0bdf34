"""The record step: everything that happened, applied to the database once."""
