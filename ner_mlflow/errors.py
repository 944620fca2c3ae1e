"""The one error family: every message names the value, the place and the way out, on one line."""


class NerError(Exception):
    """Base of all errors a user can mend; the entry points print it on one line and exit non-zero."""


class ConfigError(NerError):
    """A setting is unknown, has the wrong type, or contradicts another."""


class DataError(NerError):
    """A corpus or a prepared dataset cannot be read, or is not what was asked for."""


class ModelError(NerError):
    """A backbone, a checkpoint or an exported model is missing, broken or does not fit the data."""


class TrackingError(NerError):
    """The tracking server, the registry or the artifact store refused or cannot be reached."""
