"""Run the step `export`: MLproject's entry point."""

if __name__ == "__main__":
    from ner_mlflow.cli.export import export

    export()
