"""Errors that a user is told in one sentence, without a traceback."""

from .files import why_not_written


class UserError(ValueError):
    """An error whose text is a sentence for the user, wherever it is raised.

    Any other ValueError may come from a fault in the code.
    """


def is_for_user(error: Exception) -> bool:
    """Whether an error's text tells the user all that there is to know.

    So does that of a file that is missing, or cannot be written.
    """
    known = isinstance(error, (UserError, FileNotFoundError))
    return known or why_not_written(error) is not None
