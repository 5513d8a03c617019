"""The first word of all names of metrics."""

PREFIX = "connect_sim"
