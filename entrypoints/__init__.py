"""The scripts that MLproject calls, one an entry point; the commands themselves are in `ner_mlflow.cli`."""
