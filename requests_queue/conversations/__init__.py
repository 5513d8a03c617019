"""Conversations about queue objects: messages of the parties, and of status changes."""
