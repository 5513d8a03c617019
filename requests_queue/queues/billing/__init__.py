"""Billing requests of vendors and providers for the periods of subscriptions."""
