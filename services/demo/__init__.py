"""A simulated support bot whose model is silently replaced: what the demonstration watches."""
