"""The outboxes that this process leaves, told without importing MLflow."""

from pathlib import Path

left_folders: set[Path] = set()
"""Their folders."""
