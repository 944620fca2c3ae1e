"""The only importer of mlflow: runs, parameters, datasets, artifacts, models and the registry."""
