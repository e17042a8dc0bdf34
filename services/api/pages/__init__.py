"""Pages for people: rendered here, without scripts, with nothing from elsewhere."""
