"""Slack as a wire: a client that never repeats a write by itself, and mrkdwn both ways. Nothing about personas."""
