"""Runs of checks that the portal starts: their rows, and the process of each.

To be read in this order: `progress` (of a run, from its events), `runs` (rows, and what can be
checked), `process` (the program of a run, and how it ended), `restoring` (the snapshot from before
the run).
"""
