"""OpenMetrics: what a program exposes about itself, scraped, and counted on across its restarts.

`exposition` reads one answer, `spool` keeps what was scraped between the captures, `carried` is what has to be
remembered from capture to capture, `tally` does the counting, and `adapter` is the platform.
"""
