"""Incidents: what stands in the way now (`troubles`), and the `book` of what was opened and ended (`review` keeps it).

An incident is open from the last attempt of the hour that failed to the first capture that is accepted
again. All of it follows from files of the lake, so a new Dagster instance repeats nothing.
"""
