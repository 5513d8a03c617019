"""Django's database backend for SQLite, with turns, and cursors that a failed statement closes."""
