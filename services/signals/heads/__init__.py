"""Linear heads: what they were fitted on stands in each of their files."""
