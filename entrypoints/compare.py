"""Run the step `compare`: MLproject's entry point."""

from ner_mlflow.cli.compare import compare

if __name__ == "__main__":
    compare()
