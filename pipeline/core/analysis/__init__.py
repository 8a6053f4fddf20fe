"""What the whole history of a source says: series, gains, ages, slots of the week, what happened.

Everything here is derived from files of the lake and writes none of them but the owner's marks.
"""
