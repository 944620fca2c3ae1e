"""Run the step `train`: MLproject's entry point."""

if __name__ == "__main__":
    from ner_mlflow.cli.train import train

    train()
