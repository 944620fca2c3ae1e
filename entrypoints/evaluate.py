"""Run the step `evaluate`: MLproject's entry point."""

from ner_mlflow.cli.evaluate import evaluate

if __name__ == "__main__":
    evaluate()
