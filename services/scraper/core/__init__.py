"""Decisions: plain functions, no I/O, no clock."""
