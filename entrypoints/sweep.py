"""Run the step `sweep`: MLproject's entry point."""

if __name__ == "__main__":
    from ner_mlflow.cli.sweep import sweep

    sweep()
