"""Many sources, many hours, one machine: Dagster's scheduler, queue and runs under a driven clock."""
