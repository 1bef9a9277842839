"""What pyproject.toml cannot say: the folder in which mim finds our files.

mim looks for a package's tools, configs and model index in ``.mim``. openmim
looks in the package. onedl-mim 0.5.1 looks where the first file of the
installed wheel lies, which is the wheel's ``.dist-info``. A wheel carries
copies in both.

An editable install links to the sources instead. There onedl-mim searches the
whole source tree, links followed, and refuses a config that it meets twice:
so the configs, which it finds without help, are the one thing not linked.
"""

import os
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

MIM = Path('sniper_mmdet', '.mim')
COPIED = ('tools', 'configs', 'model-index.yml')
LINKED = ('tools', 'model-index.yml')
# The suffixes that MANIFEST.in names, so that a wheel made from the checkout
# and one made from the source release carry the same files.
SUFFIXES = ('.py', '.sh', '.yml', '.md')


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def copied_files() -> list[Path]:
    """The files that belong in ``.mim``, relative to the source tree."""
    files = []
    for name in COPIED:
        path = Path(name)
        if not path.exists():
            raise FileNotFoundError(
                f'{path.absolute()} is missing, which mim needs'
            )
        files += path.rglob('*') if path.is_dir() else [path]
    return sorted(f for f in files if f.suffix in SUFFIXES)


def copy_mim(folder: Path) -> None:
    # What an earlier build left may have been renamed since.
    remove(folder)
    for source in copied_files():
        target = folder / source
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def link_mim(folder: Path) -> None:
    remove(folder)
    folder.mkdir()
    for name in LINKED:
        try:
            (folder / name).symlink_to(
                os.path.relpath(name, folder),
                target_is_directory=Path(name).is_dir(),
            )
        except OSError as error:  # Windows, where links need a privilege
            print(f'no link {folder / name}: {error}')


class BuildPy(build_py):
    """Adds ``.mim`` to the package."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            link_mim(MIM)
        else:
            copy_mim(Path(self.build_lib, MIM))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs = super().get_outputs(include_bytecode)
        if not self.editable_mode:
            folder = Path(self.build_lib, MIM)
            outputs += [str(folder / source) for source in copied_files()]
        return outputs


class BdistWheel(bdist_wheel):
    """Adds ``.mim`` to ``.dist-info``."""

    def run(self) -> None:
        super().run()
        # Left in the source tree, its configs would be found there twice.
        remove(Path(self.get_finalized_command('build').build_lib, MIM))

    def write_wheelfile(self, wheelfile_base: str, *args, **kwargs) -> None:
        super().write_wheelfile(wheelfile_base, *args, **kwargs)
        # An editable wheel is written by this method too.
        if 'editable_wheel' not in self.distribution.commands:
            copy_mim(Path(wheelfile_base, '.mim'))


setup(cmdclass={'build_py': BuildPy, 'bdist_wheel': BdistWheel})
