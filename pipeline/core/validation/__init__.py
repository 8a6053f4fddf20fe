"""Judging a capture: which checks there are, what each expects, what each found.

`listing` turns stored pages into one frame, `expectations` is the Pandera machinery, `checks`
holds one function a check. The same functions serve the Dagster asset checks and the gate.
"""
