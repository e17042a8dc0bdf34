"""The steps of Keelwatch and what runs them."""
