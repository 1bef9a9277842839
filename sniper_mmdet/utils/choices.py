"""Checks of settings with a fixed set, or a range, of values."""


def check_choice(name: str, value: object, *choices: object) -> None:
    """Check that a setting has one of its allowed values.

    Raises:
        ValueError: The value is not allowed. The text names the setting and
            the allowed values.
    """
    if value not in choices:
        known = ' or '.join(map(repr, choices))
        raise ValueError(f'{name} must be {known}. Received: {value!r}.')


def check_share(name: str, value: float) -> None:
    """Check that a setting, such as a score, is in [0, 1].

    Raises:
        ValueError: It is not. The text names the setting.
    """
    if not 0 <= value <= 1:
        raise ValueError(f'{name} must be in [0, 1]. Received: {value!r}.')
