"""Snapshots as files: rows of listed tables in a documented format, for any database.

To be read in this order: `format` (lines, limits, digests), `contents` (tables, and what is left
out), `values` (a value of a column as JSON), `masking` (secrets), `exporting`, `loading` (rows of a
file in an empty database), `importing`, `upgrading` (files of older versions).
"""
