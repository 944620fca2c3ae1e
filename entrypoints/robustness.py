"""Run the step `robustness`: MLproject's entry point."""

if __name__ == "__main__":
    from ner_mlflow.cli.robustness import robustness

    robustness()
