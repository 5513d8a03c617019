"""Readings: where public sources are silent or contradict each other, the alternatives as data.

To be read in this order: `registry` (what each reading and its alternatives say, and from where),
`chosen` (which alternatives the sandbox runs in). The platform reads them by
`requests_queue.assumptions`.
"""
