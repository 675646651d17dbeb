"""Answers as a persona: one vLLM engine per replica, adapters from S3, completions over the bus."""
