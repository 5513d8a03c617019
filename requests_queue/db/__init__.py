"""The databases: SQL of both, locks, deletion in steps, encryption."""
