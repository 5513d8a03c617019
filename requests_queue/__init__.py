"""The simulated platform: its catalog, its queues, and the only writers of a status."""
