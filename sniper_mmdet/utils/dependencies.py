from importlib import metadata
from importlib.util import find_spec

# Packages of each line of OpenMMLab with their install commands, in the order
# of their dependencies.
NEWER = {
    'torch': 'pip install torch',
    'mmengine': 'pip install onedl-mmengine',
    'mmcv': 'pip install onedl-mim && mim install onedl-mmcv',
    'mmdet': 'pip install onedl-mmdetection',
}
OLDER = {
    # mmengine 0.10.7 cannot load its own checkpoints from torch 2.6 on.
    'torch': "pip install 'torch<2.6'",
    'mmengine': 'pip install mmengine',
    'mmcv': "pip install openmim && mim install 'mmcv<2.2'",
    'mmdet': 'pip install mmdet',
}
_LINES = {
    'newer': ('onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection'),
    'older': ('mmengine', 'mmcv', 'mmdet'),
}


def installed_lines() -> list[str]:
    """Return the lines, 'newer' and 'older', of the installed packages.

    Both lines have the same modules: if both are installed, each has
    overwritten files of the other.
    """
    return [
        line
        for line, names in _LINES.items()
        if any(next(metadata.distributions(name=n), None) for n in names)
    ]


def require_openmmlab() -> None:
    """Check that torch, mmengine, mmcv with its ops and mmdet are installed.

    ``sniper_mmdet`` does not list them as requirements, because the two lines
    of OpenMMLab packages share import names and overwrite each other.

    Raises:
        ImportError: A package is missing. The sentence names it, and the
            command that installs it for the line that is there.
    """
    required = OLDER if installed_lines() == ['older'] else NEWER
    for name, command in required.items():
        if find_spec(name) is None:
            raise ImportError(
                f'sniper_mmdet needs {name}, which is not installed; install '
                f'it with: {command}',
                name=name,
            )
    # Looking for a submodule imports mmcv, so the other packages come first.
    if find_spec('mmcv._ext') is None:
        installed = metadata.packages_distributions()
        lacking = installed.get('mmcv', ['mmcv'])[0]
        raise ImportError(
            'sniper_mmdet needs mmcv with its compiled ops (mmcv._ext), which '
            f'the installed {lacking} lacks; remove it (pip uninstall '
            f'{lacking}) and install one that has them: {required["mmcv"]}',
            name='mmcv._ext',
        )
