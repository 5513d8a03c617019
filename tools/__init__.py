"""Tools that `make lint` runs."""
