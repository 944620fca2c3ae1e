"""Run the step `robustness`: MLproject's entry point."""

from ner_mlflow.cli.robustness import robustness

if __name__ == "__main__":
    robustness()
