"""The version of the plugin, which is released together with the server of this version."""

from __future__ import annotations

VERSION = "0.1.0"
