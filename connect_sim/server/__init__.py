"""Parts of the web server: connections, request bodies, thread pools, proxy headers."""
