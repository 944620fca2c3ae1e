"""What MLproject's entry point `export` runs."""

from ner_mlflow.cli.export import export

if __name__ == "__main__":
    export()
