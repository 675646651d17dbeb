"""What the trainer touches outside itself: its child, the bucket, metrics."""
