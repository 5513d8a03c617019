"""Faults in running processes during deliveries, and checks of what has to hold afterwards.

`python -m tests.chaos` (`make chaos`) runs all cases at full size; the tests of this folder run
them at a small one.
"""
