"""Decisions of the trainer: plain functions, no I/O, no clock."""
