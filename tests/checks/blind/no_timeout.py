"""Calls the API without a timeout, and holds a lock: one hanging response stops it for good."""

from sound import Handler, Orders, serve


class NoTimeout(Orders):
    timeout = None


class NoTimeoutHandler(Handler):
    orders = NoTimeout()


serve(NoTimeoutHandler)
