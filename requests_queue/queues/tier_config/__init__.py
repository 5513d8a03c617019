"""Tier configuration requests: resellers set up for a product before it is sold through them."""
