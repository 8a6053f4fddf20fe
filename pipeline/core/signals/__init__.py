"""Signals: what the checks measure on every capture, kept over time, and what drifts before it fails.

`measuring` takes the measures and publishes them, `series` reads them back as numbers, `drift` names what changed.
"""
