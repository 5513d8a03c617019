"""What the API of every room has in common; the rooms get it by DRF's settings."""
