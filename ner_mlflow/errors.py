"""Errors for users: each message names a value, where it is and how to fix it, on one line."""


class NerError(Exception):
    """Base of all errors that a user can fix; commands print the message and exit with status 1."""


class ConfigError(NerError):
    """A setting is unknown, has the wrong type, or contradicts another."""


class DataError(NerError):
    """A corpus or a prepared dataset cannot be read, or does not fit the settings."""


class ModelError(NerError):
    """A backbone, a checkpoint or an exported model is missing, broken or does not fit the data."""


class TrackingError(NerError):
    """The tracking server, the registry or the artifact store fails or cannot be reached."""
