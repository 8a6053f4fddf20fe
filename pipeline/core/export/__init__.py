"""Data taken out of the lake: the rows of a stretch of hours, written to one file of a common format."""
