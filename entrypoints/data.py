"""What MLproject's entry point `data` runs."""

from ner_mlflow.cli.data import data

if __name__ == "__main__":
    data()
