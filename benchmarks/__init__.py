"""Measurements that stay in the repository: `python -m benchmarks.NAME`, the last line one JSON object."""
