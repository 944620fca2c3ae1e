"""What MLproject's entry point `compare` runs."""

from ner_mlflow.cli.compare import compare

if __name__ == "__main__":
    compare()
