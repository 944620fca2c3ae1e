"""From a corpus to a registered named-entity recognition model, every step tracked by MLflow."""

from .version import __version__

__all__ = ["__version__"]
