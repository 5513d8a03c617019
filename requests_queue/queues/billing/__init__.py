"""Billing requests: what is charged for a subscription's periods, by vendor and by provider."""
