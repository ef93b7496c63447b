"""The one exception that users see as a plain message."""


class MedhashError(Exception):
    """Bad input, said in one message: the file, key or value, and what to do.

    The command line prints it without a traceback and exits with status 2.
    """
