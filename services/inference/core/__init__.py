"""Decisions of inference: no I/O, no clock, no engine."""
