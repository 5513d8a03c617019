"""The pages of the queues."""
