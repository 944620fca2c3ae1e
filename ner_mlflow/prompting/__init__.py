"""Query a large language model for entities, as a baseline scored like any other model."""
