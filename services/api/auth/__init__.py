"""Who asks, and what they may do: keys, sessions, roles, and forms of this browser alone."""
