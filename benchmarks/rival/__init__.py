"""django-webhook as its documentation sets it up; runs in an environment of its own."""
