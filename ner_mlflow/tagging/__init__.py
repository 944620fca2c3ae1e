"""From words to tags, and from texts to entities: all that the served model runs on."""
