"""Run the step `main`: MLproject's entry point."""

from ner_mlflow.cli.main import main

if __name__ == "__main__":
    main()
