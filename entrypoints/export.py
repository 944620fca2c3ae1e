"""Run the step `export`: MLproject's entry point."""

from ner_mlflow.cli.export import export

if __name__ == "__main__":
    export()
