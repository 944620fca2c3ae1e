"""Run the step `data`: MLproject's entry point."""

from ner_mlflow.cli.data import data

if __name__ == "__main__":
    data()
