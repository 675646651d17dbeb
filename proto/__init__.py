"""The contract: what two rooms must agree on. Touches pydantic and nothing else."""
