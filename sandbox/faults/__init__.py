"""Faults: requests to handlers and responses of the API that go wrong on purpose (ours).

To be read in this order: `kinds` (the registry of what can go wrong), `armed` (the faults that
callers have armed), `draw` and `firing` (which of them fire, and counting that), `delivery_side`
(what they do to our requests), `api_side` (to calls of the API), `barriers` (responses that wait).
"""
