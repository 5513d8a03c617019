"""Checks of a webhook handler, through the published HTTP endpoints of a sandbox."""
