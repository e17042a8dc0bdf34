"""Who may do what with an API key. Pure: no database, clock or chance."""
