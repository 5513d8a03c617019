"""What the queues refer to: accounts, products, connections, tier accounts, assets."""
