"""The pages: one self-contained HTML file a source and one over all of them, to be opened from disk."""
