"""The one exception that bad input ends in."""


class InputError(ValueError):
    """Input that gammajax cannot use.

    The message says what was found, what was expected, and the cure. The command line prints it without a traceback.
    """
