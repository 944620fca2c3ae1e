"""One frozen, typed, nested configuration, and its resolution from preset and command line."""
