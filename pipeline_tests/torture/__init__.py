"""`python -m pipeline_tests.torture`: kill -9 at random points of real captures, and nothing accepted may suffer."""
