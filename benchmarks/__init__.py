"""Measurements of the delivery path; `python -m benchmarks`, see README.md."""
