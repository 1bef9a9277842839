"""Names of the types in configs."""


def name_of(cfg: dict) -> str:
    """Return the type of a part of a config, without its scope.

    Examples:
        >>> name_of(dict(type='sniper_mmdet.CutChip'))
        'CutChip'
    """
    kind = cfg.get('type', '')
    return getattr(kind, '__name__', str(kind)).split('.')[-1]
