"""`ratchet drill`: every fault that Ratchet promises to be loud about, injected on purpose and judged from outside.

`stage` is a throw-away project on loopback, `faults` and `mishaps` spoil it, `verdict` reads what came of it,
`drilling` runs all of them. Nothing in here asks the code under test whether it did well.
"""
