"""Faults: requests, responses of the API and tasks that go wrong on purpose (ours).

To be read in this order: `kinds` (the registry of what can go wrong, and when), `armed` (the faults
that callers have armed, and which of them fire), `delivery_side` (what they do to our requests),
`api_side` (to calls of the API; responses that wait), `task_side` (to tasks of extensions).
"""
