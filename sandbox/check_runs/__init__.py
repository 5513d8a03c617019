"""Runs of checks that the portal starts: their rows, and the process of each."""
