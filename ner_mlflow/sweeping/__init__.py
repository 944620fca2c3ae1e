"""Sweeps: search spaces, studies, the processes that run trials, and reports."""
