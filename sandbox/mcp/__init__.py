"""The sandbox for agents: tools, each an operation of `/sandbox/…`, by the Model Context Protocol.

To be read in this order: `tools`, `server`, `views`.
Only `server` imports the package `mcp`, an extra of the distribution.
"""
