"""Run the step `compare`: MLproject's entry point."""

if __name__ == "__main__":
    from ner_mlflow.cli.compare import compare

    compare()
