"""From readings, evaluations and decisions to alerts: when people should hear of a shift, and when no more."""
