"""Small shared mathematics, each with its source."""
