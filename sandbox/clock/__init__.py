"""Moves of the clock, and when the sandbox is settled."""
