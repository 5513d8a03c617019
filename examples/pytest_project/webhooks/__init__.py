"""The webhook handlers of our product."""
