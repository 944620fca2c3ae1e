"""Read and write corpora: a file for each format, and one registry of them."""
