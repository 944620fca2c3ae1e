"""From a corpus to a registered named-entity recognition model, every step tracked by MLflow.

>>> import ner_mlflow
>>> data = ner_mlflow.prepare("sample")
>>> trained = ner_mlflow.train(data, preset="minilm_full")
>>> ner_mlflow.evaluate(trained).scores["f1"]
>>> exported = ner_mlflow.export(trained, registered_model="it-ner", alias="candidate")
>>> recognizer = ner_mlflow.load_recognizer("models:/it-ner@candidate")
>>> recognizer.recognize("PostgreSQL 15.3 crashes on Ubuntu.")
"""

from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .api import evaluate, export, load_recognizer, prepare, train

__all__ = ["__version__", "evaluate", "export", "load_recognizer", "prepare", "train"]


def __getattr__(name: str) -> Any:
    # On first use: MLflow and its stores take seconds to import.
    if name in __all__:
        from . import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
