"""The channels by which people are told: one vendor or protocol a file."""
