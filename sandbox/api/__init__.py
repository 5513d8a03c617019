"""The sandbox's own API, `/sandbox/…`, with the same API keys as Connect's.

To be read in this order: `schema` (how a view declares its operations, and what they take), then a
module for each part: `world` (the clock, reset, snapshots, the lease), `snapshot_files`,
`observing` (also waits), `traces`, `faults`, `queue`, `products`, `checks`, `status`, `docs`.
`sandbox.mcp` offers some of them to agents.
"""
