"""The web server: cost of a small request."""
