"""Plumbing and the command: what every service needs and what knows nothing of personas."""
