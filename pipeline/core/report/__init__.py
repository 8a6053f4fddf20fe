"""What one accepted hour says: built from snapshot and delta, then written as Markdown or drawn."""
