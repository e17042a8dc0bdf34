"""What every consumer of scores does first: fence, repeated ids, volatile fields, index and clock of a route."""
