"""Connect's request queues, one folder each; each registers its declaration with `base`.

To be read in this order: `base` (what a queue is), `transitions` (the only writers of a status),
`services` and `api` (creation, actions and collections), `validation` and `validator_responses`,
`sampling` and `samples`, then the folder of one queue, beginning with its `rules`.
"""
