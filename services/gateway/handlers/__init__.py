"""What the gateway does for each subject, and what its sweeper does each second."""
