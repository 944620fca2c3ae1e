"""What MLproject's entry point `prompt` runs."""

from ner_mlflow.cli.prompt import prompt

if __name__ == "__main__":
    prompt()
