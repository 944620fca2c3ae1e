"""Turn a corpus into a prepared dataset: read, relabel, check, split, oversample, count."""
