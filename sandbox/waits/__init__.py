"""Waits for a condition, without a thread each."""
