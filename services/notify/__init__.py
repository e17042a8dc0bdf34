"""From the outbox to people: what a message says, what is sent when, and who accepted it."""
