"""The timeline: what happens in the sandbox, the API calls in it, and what is shown of both.

To be read in this order: `observer` (who waits for changes), `timeline` (the log), `attempts`,
`activity` (calls in flight), `call_storage` (recorded calls), `api_calls` (which records them),
`handler_activity` (what a handler did in each attempt), `deliveries` (with their forecast),
`traces` (all of it as a file), `trace_storage` (traces that the portal shows).
"""
