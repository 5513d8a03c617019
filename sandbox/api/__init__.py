"""The sandbox's own API, `/sandbox/…`, with the same API keys as Connect's."""
