"""The emitter: an event becomes a delivery, a delivery attempts, an attempt statistics."""
