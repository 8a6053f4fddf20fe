"""Replies of every platform, bent in ways that nobody foresaw, through every adapter and every check."""
