"""Linear heads: what words, windows and rules of a text say together, calibrated.

A head adds up n-grams of both ends of a text, its embeddings, and the log odds of rules. `head` holds and stores them,
`reading` what they read of an exchange, `shipped` those that come with the package, `fitting` how they are made.
"""
