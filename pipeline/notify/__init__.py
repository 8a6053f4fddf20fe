"""Messages: what a channel is told (`wording`) and how it gets there once (`delivery`). Knows no Dagster."""
