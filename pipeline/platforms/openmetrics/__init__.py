"""OpenMetrics: what a program exposes about itself, scraped, and counted on across its restarts.

`exposition` reads one answer, `spool` keeps what was scraped between the captures, `carried` is what has to be
remembered from capture to capture, `gains` says what a series gained between two scrapes, `tally` does the counting,
and `adapter` is the platform.
"""
