"""The timeline: one log of what happens in the sandbox, the API calls in it, and the observer.

To be read in this order: `observer` (who waits for changes), `timeline` (the log), `receivers`
(which write it); `activity` (calls in flight), `api_calls` (the middleware that records a call),
`call_storage` (its row), `attempt_links` (the attempt that it belongs to).
"""
