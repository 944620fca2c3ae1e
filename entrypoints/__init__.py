"""The scripts that MLproject calls, one per step; the commands are in `ner_mlflow.cli`.

A script imports its command only where it runs it: worker processes import the script too.
"""
