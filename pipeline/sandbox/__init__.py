"""A stand-in for note.com on loopback, for replays, for the demo, for drills and for tests.

`server` speaks note.com's shape over real HTTP; what it shows comes from `recording` (a real
account's numbers) or from `simulation` (invented ones, labelled as such); `faults` are what can
go wrong on the way. Nothing in here knows the lake or the checks.
"""
