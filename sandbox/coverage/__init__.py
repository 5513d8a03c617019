"""Coverage: which cases tests made happen, out of those that the product under test can have.

Read first `cases`, then `possible` (from the rules of the queues), `happened` (from the timeline),
`report`, and `recipes` with `stubs`: tests of the missing cases.
"""
