"""Run the step `demo`: MLproject's entry point."""

if __name__ == "__main__":
    from ner_mlflow.cli.demo import demo

    demo()
