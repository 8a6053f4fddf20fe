"""What the feeds stand on: platforms that read on where the last accepted capture ended, and count what was told since.

A spool of segments (`spool`), the pages in which a capture keeps what it read (`pages`), what is remembered from one
capture to the next (`carried`), and what counting has in common (`counting`).
"""
