"""What the API, the pages and the terminal show of deliveries and of handlers.

To be read in this order: `handler_notes` and `handler_activity` (what a handler did in each
attempt); `deliveries` (with their forecast); `terminal` (the lines of `make run`). Nothing here
changes anything.
"""
