"""The forms in which the results of checks are shown and stored: functions of a Report."""
