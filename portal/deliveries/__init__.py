"""Pages of deliveries: the log, one delivery, and resending."""
