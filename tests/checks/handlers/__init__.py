"""Handlers for checks: one without defects, and variants that are each broken in one way."""
