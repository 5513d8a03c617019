"""Waits for a condition, or for an entry of the timeline, without a thread for each.

To be read in this order: `conditions` (what a condition is), `condition_kinds`, `task_conditions`,
`condition_parsing`, `wait_responses` (also of reads of the timeline), `waiting` (the waits of this
process, and those that move the clock).
"""
