"""Search for good settings: what is tried, how it is chosen, where trials run, what came out."""
