"""Run the step `promote`: MLproject's entry point."""

if __name__ == "__main__":
    from ner_mlflow.cli.promote import promote

    promote()
