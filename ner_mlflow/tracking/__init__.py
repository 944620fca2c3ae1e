"""The tracking store and the registry: runs, what they mean, models and their versions."""
