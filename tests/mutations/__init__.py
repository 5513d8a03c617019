"""Mutations: patches that make the product wrong, each of which a test must catch."""
