"""From a corpus to a registered named-entity recognition model, every step tracked by MLflow."""

__version__ = "0.1.0"
