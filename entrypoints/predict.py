"""What MLproject's entry point `predict` runs."""

from ner_mlflow.cli.predict import predict

if __name__ == "__main__":
    predict()
