"""What MLproject's entry point `train` runs."""

from ner_mlflow.cli.train import train

if __name__ == "__main__":
    train()
