"""The subject of Ratchet: capture, validation, deltas, rules, ledger.

Plain functions over files, frames and frozen dataclasses. Nothing in here knows Dagster, a
platform or a terminal; they call the core, never the other way round.
"""
