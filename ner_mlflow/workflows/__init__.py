"""Each step as one function: the core does the work, the run records it."""
