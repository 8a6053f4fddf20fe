"""Ratchet's own vital signs for Prometheus: read from the lake when they are asked for, and from nothing else."""
