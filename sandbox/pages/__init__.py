"""The sandbox's pages in the portal.

To be read in this order: `panels` (what the portal's own pages get), `clock` (the bar), `timeline`
with `stream` and `stream_rows`, `faults`, `snapshots`, `checks`.
"""
