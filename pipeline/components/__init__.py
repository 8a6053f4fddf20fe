"""Components: what a YAML file in ``defs/`` can be. There is one, a source of counters."""

import warnings

import dagster as dg

# Dagster says of its partitioned checks and code references that they are young, once a load and a
# source. Both are pinned with it, and tests hold what we rely on (docs/decisions.md).
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
warnings.filterwarnings("ignore", category=dg.BetaWarning)

from pipeline.components.counter_source import CounterSource  # noqa: E402  after the filters, which it would trip

__all__ = ["CounterSource"]
