"""Tier account requests: vendors are told that a customer or reseller has changed."""
