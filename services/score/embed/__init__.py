"""Embedders: one adapter a file; each gives the same bits for a text whatever else is in the batch."""
