"""Run the step `evaluate`: MLproject's entry point."""

if __name__ == "__main__":
    from ner_mlflow.cli.evaluate import evaluate

    evaluate()
