"""The ruler: anchor exchanges by which a change of our own scorers is seen, told apart from one of the models."""
