"""Errors that users see as one sentence, without a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .files import why_not_written


class UserError(ValueError):
    """An error whose text is a sentence for the user.

    Any other ValueError may be a fault in the code.
    """


def is_for_user(error: Exception) -> bool:
    """Whether the text of an error is all that a user needs.

    This includes errors of files that are missing or cannot be written.
    """
    known = isinstance(error, (UserError, FileNotFoundError))
    return known or why_not_written(error) is not None


@contextmanager
def utf8_text(path: Path | str) -> Iterator[None]:
    """A context in which a file is read as text; names one in another code.

    Raises:
        UserError: The file is not UTF-8.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise UserError(f'{path} must be UTF-8 text: {error}.') from None
