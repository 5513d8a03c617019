"""The web server's parts: connections, request bodies, threads for Django, proxy headers."""
