"""Runs of checks that the portal starts: their rows, and the process of each.

To be read in this order: `runs` (rows with their progress, and what can be checked), `process` (the
program of a run, how it ended, and what it leaves behind).
"""
