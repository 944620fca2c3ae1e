"""The scripts that MLproject calls, one per step; the commands are in `ner_mlflow.cli`."""
