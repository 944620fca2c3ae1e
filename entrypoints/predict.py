"""Run the step `predict`: MLproject's entry point."""

if __name__ == "__main__":
    from ner_mlflow.cli.predict import predict

    predict()
