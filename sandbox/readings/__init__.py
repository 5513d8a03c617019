"""What the API and the pages show of deliveries and of handlers.

To be read in this order: `handler_activity` (what a handler did in each attempt, and notes on it),
`deliveries` (with their forecast). Nothing here changes anything.
"""
