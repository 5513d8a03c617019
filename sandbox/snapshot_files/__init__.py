"""Snapshots as files: rows of listed tables in a documented format, for any database.

To be read in this order: `format` (lines, limits, digests), `values` (a value of a column as JSON),
`contents` (tables, what is left out, and which secrets are masked), `exporting`, `importing` (a
file is checked in a database of its own; files of older versions are migrated there).
"""
