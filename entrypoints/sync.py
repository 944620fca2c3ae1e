"""Run the step `sync`: MLproject's entry point."""

if __name__ == "__main__":
    from ner_mlflow.cli.sync import sync

    sync()
