"""Run the step `prompt`: MLproject's entry point."""

if __name__ == "__main__":
    from ner_mlflow.cli.prompt import prompt

    prompt()
