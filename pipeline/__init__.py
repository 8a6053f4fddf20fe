"""Ratchet: an hourly record of other people's counters that fails loudly."""
