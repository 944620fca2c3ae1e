"""One click command an MLproject entry point: resolve the configuration, open the run, call the workflow."""
