"""One small file per thing outside."""
