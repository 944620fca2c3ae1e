"""What MLproject's entry point `promote` runs."""

from ner_mlflow.cli.promote import promote

if __name__ == "__main__":
    promote()
