"""One frozen, typed, nested configuration: the settings, and how they are resolved."""
