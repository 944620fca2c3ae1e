"""Run the step `main`: MLproject's entry point."""

if __name__ == "__main__":
    from ner_mlflow.cli.main import main

    main()
