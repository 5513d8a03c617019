"""Connect's request queues, one folder each; each registers its declaration with `base`."""
