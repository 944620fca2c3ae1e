"""Run the step `data`: MLproject's entry point."""

if __name__ == "__main__":
    from ner_mlflow.cli.data import data

    data()
