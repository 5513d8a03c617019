"""Ids of Connect's objects in texts: a prefix and groups of digits."""

import re

OBJECT_ID = re.compile(r"(?<![\w-])[A-Z]{2,6}(?:-\d+)*-\d{2,}(?![\w-])")
