"""`python -m pipeline_tests.bench`: what Ratchet costs, each figure beside a peer or a floor of the same run."""
