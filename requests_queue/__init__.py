"""The simulated platform: its catalog, its queues, and the only writers of a status.

To be read in this order: `errors`, `ids` and `signals`, `api` (what a resource is), `db` (the
databases), `clock`, `jobs` (what is due), `catalog` (what the queues refer to), `queues` (with
`transitions`, which writes their statuses), `conversations`, `seed` (the demo data). Each imports
only those before it.
"""
