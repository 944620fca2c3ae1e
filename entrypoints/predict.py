"""Run the step `predict`: MLproject's entry point."""

from ner_mlflow.cli.predict import predict

if __name__ == "__main__":
    predict()
