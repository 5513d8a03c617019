"""The web server: cost of a small request, and effect of slow clients on others."""
