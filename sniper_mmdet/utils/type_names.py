"""Names of the types in configs."""


def name_of(cfg: dict) -> str:
    """Return the type of a part of a config, without its scope.

    Examples:
        >>> name_of(dict(type='sniper_mmdet.CutChip'))
        'CutChip'
    """
    kind = cfg.get('type', '')
    return getattr(kind, '__name__', str(kind)).split('.')[-1]


def require_type(cfg: dict, kind: type, field: str) -> None:
    """Raise ValueError if a part of a config is of another type."""
    if name_of(cfg) != kind.__name__:
        raise ValueError(
            f'{field}.type must be {kind.__name__}. Received: {name_of(cfg)}.'
        )
