"""What MLproject's entry point `robustness` runs."""

from ner_mlflow.cli.robustness import robustness

if __name__ == "__main__":
    robustness()
