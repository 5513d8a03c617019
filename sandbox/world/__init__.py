"""The world: what a reset or restore replaces, and who is kept out meanwhile.

To be read in this order: `tables` (what belongs to the world, and how one transaction replaces it),
`gate` (requests, jobs and the engine wait; the lease), `snapshot_storage` (files, or schemas of
PostgreSQL), `snapshots` (save, restore, reset, compare).
"""
