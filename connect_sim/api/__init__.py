"""Shared parts of the API, which the apps use through DRF's settings."""
