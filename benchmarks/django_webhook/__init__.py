"""A project with django-webhook as documented; runs in its own virtual environment."""
