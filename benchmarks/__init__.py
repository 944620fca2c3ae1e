"""Benchmarks: `python -m benchmarks.NAME` prints its result as JSON on the last line."""
