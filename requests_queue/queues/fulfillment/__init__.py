"""Fulfillment requests: purchases, changes and cancellations of subscriptions."""
