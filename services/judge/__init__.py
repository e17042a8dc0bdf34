"""Language models as judges of a sample: asked beside the score step, checked before, stopped at a number of calls."""
