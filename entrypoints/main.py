"""What MLproject's entry point `main` runs."""

from ner_mlflow.cli.main import main

if __name__ == "__main__":
    main()
