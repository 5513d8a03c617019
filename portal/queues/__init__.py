"""Pages of queues: boards and lists, one object, its actions, and samples."""
