"""Run the step `inspect`: MLproject's entry point."""

from ner_mlflow.cli.inspect import inspect

if __name__ == "__main__":
    inspect()
