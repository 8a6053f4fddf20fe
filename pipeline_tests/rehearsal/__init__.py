"""A release, rehearsed on loopback before it happens: `make rehearse`, `make integration`, the walk of `make release`.

`steps` is what a step is and how its result is written, `checkout` are the two versions, `staging` is the
configuration of production with nothing of production in it, `stage` is where a version runs. The steps are in
`deploying` and `upgrading`, their `order` in a module of its own, and `release` is the checklist around them.
docs/runbook.md is made from the steps.
"""
