"""The sandbox's pages in the portal.

To be read in this order: `faults`, `world` (the bar on every page, reset), `snapshots`,
`timeline_rows` and `timeline`, `traces`, `checks`, `panels` (what the portal's own pages get).
"""
