"""Points: events that programs report about themselves, read out of a spool or a topic and counted.

`settings` is what stands in the YAML, `spool` and `topic` get at the bytes, `event` says what one of
them holds, `carried` is what has to be remembered from capture to capture, `tally` does the counting,
and `adapter` is the platform.
"""
