"""Run the step `train`: MLproject's entry point."""

from ner_mlflow.cli.train import train

if __name__ == "__main__":
    train()
