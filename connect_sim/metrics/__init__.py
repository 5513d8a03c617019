"""Metrics for Prometheus: each process exports its own, the web server those of the database."""
