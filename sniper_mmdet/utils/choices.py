"""Check of settings with a fixed set of values."""


def check_choice(name: str, value: object, *choices: object) -> None:
    """Check that a setting has one of its allowed values.

    Raises:
        ValueError: The value is not allowed. The text names the setting and
            the allowed values.
    """
    if value not in choices:
        known = ' or '.join(map(repr, choices))
        raise ValueError(f'{name} must be {known}. Received: {value!r}.')
