"""Listing requests: products put on a marketplace, updated there, and taken off it."""
