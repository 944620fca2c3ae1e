"""The steps, one function each: the core does the work, and the run keeps a record of it."""
