"""The timeline: what happens in the sandbox, and API calls."""
