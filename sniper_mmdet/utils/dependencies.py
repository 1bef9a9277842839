from importlib.util import find_spec

# In the order in which they build on each other, each with what installs it.
REQUIRED = {
    'torch': 'pip install torch',
    'mmengine': 'pip install onedl-mmengine',
    'mmcv': 'pip install onedl-mim && mim install onedl-mmcv',
    'mmdet': 'pip install onedl-mmdetection',
}


def require_openmmlab() -> None:
    """Check that torch, mmengine, mmcv with its ops and mmdet are installed.

    ``sniper_mmdet`` does not require them as a package would, because the two
    lines of OpenMMLab packages share import names and overwrite each other.

    Raises:
        ImportError: One sentence that names what is missing and the command
            that installs it.
    """
    for name, command in REQUIRED.items():
        if find_spec(name) is None:
            raise ImportError(
                f'sniper_mmdet needs {name}, which is not installed; install '
                f'it with: {command}',
                name=name,
            )
    # Looking for a submodule imports mmcv, hence after all others are there.
    if find_spec('mmcv._ext') is None:
        raise ImportError(
            'sniper_mmdet needs mmcv with its compiled ops (mmcv._ext), which '
            'the installed mmcv lacks; remove it (pip uninstall mmcv-lite) '
            f'and install one that has them: {REQUIRED["mmcv"]}',
            name='mmcv._ext',
        )
