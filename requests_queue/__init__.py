"""The simulated platform: its catalogue, its queues, and the only writers of a status."""
