"""Faults: requests to handlers and responses of the API that go wrong on purpose (ours).

`kinds` is the registry of what can go wrong, `arming` the faults that callers have armed, `firing`
decides which of them fire and counts that, and `api_side` applies them to calls of the API.
"""
