"""The timeline: one log of what happens in the sandbox, the API calls in it, and the observer.

To be read in this order: `timeline` (the log), `notification` (who is notified of it), `observer`
(one thread for all that wait), `receivers` (which write the log); `activity` (calls in flight),
`api_calls` (the middleware that records a call), `call_storage` (its row), `attempt_links` (the
attempt that it belongs to), `object_ids` (what a call names).
"""
