"""The databases, SQLite and PostgreSQL: SQL, locks, deletion in steps, encryption.

To be read in this order: `sql` and `rows` (statements and lookups), `database_errors` and
`database_limits`, `background_work` and `pausing` (what a replacement of all data keeps out),
`retention` (deletion in steps), `encryption`, `reencryption` and `compressed_text` (columns),
`garbage`, `turns` (of the writers of `sqlite3`, a backend of Django). Nothing here knows a
resource.
"""
