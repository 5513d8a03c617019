"""The HTTP client for handlers, without Django: nothing else sends them a request.

In reading order: `client` sends a request, by a `connection` of aiohttp's that is watched;
`addresses` says who may be called, `urls` and `headers` what may be sent, `errors` what went wrong.
"""
