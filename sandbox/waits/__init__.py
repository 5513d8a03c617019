"""Waits for a condition, or for an entry of the timeline, without a thread for each.

To be read in this order: `conditions` (what a condition is), `condition_kinds`,
`condition_parsing`, `wait_responses`, `waiting` (the waits of this process), `skipping` (waits that
move the clock), `timeline_waits`.
"""
