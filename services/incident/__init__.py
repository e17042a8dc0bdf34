"""From alerts, changes, evaluations and decisions to incidents, their timelines and what is told to whom."""
