"""The HTTP client for handlers: no ORM, no Django."""
