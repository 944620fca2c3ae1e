"""Run the step `sweep`: MLproject's entry point."""

from ner_mlflow.cli.sweep import sweep

if __name__ == "__main__":
    sweep()
