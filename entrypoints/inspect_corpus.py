"""Run the step `inspect`: MLproject's entry point."""

if __name__ == "__main__":
    from ner_mlflow.cli.inspect import inspect

    inspect()
