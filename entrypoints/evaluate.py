"""What MLproject's entry point `evaluate` runs."""

from ner_mlflow.cli.evaluate import evaluate

if __name__ == "__main__":
    evaluate()
