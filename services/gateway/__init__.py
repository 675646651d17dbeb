"""Slack on one side, the bus on the other: the only service that writes to Slack."""
