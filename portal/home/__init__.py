"""The pages of the first page."""
