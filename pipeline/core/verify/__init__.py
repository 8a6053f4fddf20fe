"""Whether a source's lake still is what was published: names, checksums, contents, and their agreement.

`stored` looks at files as bytes, `contents` at what they say, `checking` at everything, month by
month, and `repairing` makes again what can be made again.
"""
