"""Django's database backend for SQLite, with cursors that a failed statement closes."""
