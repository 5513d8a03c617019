"""Tier configuration requests: the setup of resellers before they can sell a product."""
