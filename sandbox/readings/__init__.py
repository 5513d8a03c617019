"""What the API, the pages and the terminal show of deliveries and of handlers.

To be read in this order: `handler_activity` (what a handler did in each attempt, and notes on it),
`deliveries` (with their forecast), `terminal` (the lines of `make run`). Nothing here changes
anything.
"""
