"""Run the step `prompt`: MLproject's entry point."""

from ner_mlflow.cli.prompt import prompt

if __name__ == "__main__":
    prompt()
