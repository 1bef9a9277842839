"""Settings that are one of a few words."""


def check_choice(name: str, value: object, *choices: object) -> None:
    """Check that a setting is one of its choices.

    Raises:
        ValueError: It is none of them; names it and them.
    """
    if value not in choices:
        known = ' or '.join(map(repr, choices))
        raise ValueError(f'{name} must be {known}. Received: {value!r}.')
