"""The sandbox's own API, `/sandbox/…`, with the same API keys as Connect's.

To be read in this order: `schema` (how a view declares its operations), `inputs` and `types` (what
several of them take and return), then a module for each part: `clock`, `waiting`, `observing`,
`faults`, `snapshots`, `lease`, `queue`, `products`, `product_files`.
"""
