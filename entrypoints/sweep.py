"""What MLproject's entry point `sweep` runs."""

from ner_mlflow.cli.sweep import sweep

if __name__ == "__main__":
    sweep()
