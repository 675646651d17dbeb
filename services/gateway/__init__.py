"""The gateway: the only service that writes to Slack."""
