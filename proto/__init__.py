"""The contract: every message, stream, artifact and error that two rooms must agree on. Touches pydantic and nothing else."""
