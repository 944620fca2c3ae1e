"""A large language model as a baseline: asked for entities in words, scored as every other model is."""
