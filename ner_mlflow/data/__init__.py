"""From a corpus to a prepared dataset: sources, relabelling, split checks, oversampling, statistics."""
