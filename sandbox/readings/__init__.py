"""What pages and the API read about deliveries and handlers."""
