"""Build, train, save and load models that label the words of sentences."""
