"""An extension that approves orders."""
