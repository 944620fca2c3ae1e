"""Run the step `promote`: MLproject's entry point."""

from ner_mlflow.cli.promote import promote

if __name__ == "__main__":
    promote()
