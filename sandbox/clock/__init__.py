"""The clock of the sandbox: its moves, and when the sandbox is settled.

To be read in this order: `settle_times` (how long a handler may still work), `settling` (whether
all has happened that follows from the present; holds, which keep the clock), `moves` (from one due
moment to the next).
"""
