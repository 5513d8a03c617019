"""Tier account requests: vendors are notified that a customer or reseller has changed."""
