"""The projects are run by tests, in processes of their own."""

collect_ignore = ["projects"]
