"""The web server: what a small request costs, and what slow clients do to the others."""
