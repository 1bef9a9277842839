"""The commands of the documentation, and the configs that they mean."""

import inspect
import os
import re
import subprocess
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest
from mmdet import registry
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from tiny import ROOT

from sniper_mmdet.chips import NegativeSettings

DOCS = sorted(
    p.relative_to(ROOT)
    for pattern in ('*.md', 'docs/*.md', 'configs/**/README.md')
    for p in ROOT.glob(pattern)
    if p.name != 'CHANGELOG.md'
)
#: What a word in capitals may stand for: the first that has the settings.
CONFIGS = (
    'configs/sniper/faster-rcnn_r50_fpn_sniper_7e_coco.py',
    'configs/autofocus/faster-rcnn_r50_fpn_autofocus_7e_coco.py',
    'configs/autofocus/faster-rcnn_r18-slim_fpn_autofocus_3e_sample.py',
    'configs/autofocus/mask-rcnn_r101-dcn_c4c5_autofocus_7e_coco.py',
    'configs/sniper/mask-rcnn_r101-dcn_c4c5_sniper_7e_coco.py',
    'configs/sniper/faster-rcnn_r101-dcn_c4c5_sniper_amp_7e_coco.py',
    'configs/sniper/retinanet_r50_fpn_sniper_1x_coco.py',
    'configs/decoupled/faster-rcnn_mobilenetv2_fpn_decoupled-k3_12e_'
    'traffic-lights.py',
    'configs/decoupled/faster-rcnn_mobilenetv2_fpn_decoupled-objects_12e_'
    'emoji-scenes.py',
    'configs/rfcn3k/rfcn3k_r101-dcn_c4_7e_imagenet3k.py',
    'configs/ssh/ssh_vgg16_pyramid_13e_wider-face.py',
)
#: Dicts that are handed on to somebody.
PASSED_ON = {
    'randomness': Runner.set_randomness,
    'train_dataloader.dataset.negatives': NegativeSettings,
}
REGISTRIES = [
    getattr(registry, name)
    for name in (
        'MODELS DATASETS TRANSFORMS HOOKS METRICS LOOPS OPTIMIZERS TASK_UTILS '
        'OPTIM_WRAPPERS DATA_SAMPLERS PARAM_SCHEDULERS VISUALIZERS'
    ).split()
]

#: Runs a block of a page; programs are functions that write to fd 3 their
#: arguments and the names of variables that were set for them.
SHELL = r"""
set -euf
record() {
    printf '%s\0' "$@" >&3
    printf '\036\0' >&3
    compgen -e >&3
    printf '\036\0' >&3
}
for program in python bash torchrun source mim pip tensorboard; do
    eval "$program() { record $program \"\$@\"; }"
done
"""


class Block(NamedTuple):
    path: Path
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        return f'{self.path}:{self.line}'


class Command(NamedTuple):
    where: str
    args: list[str]
    variables: set[str]

    def __str__(self) -> str:
        return f'{self.where}: {" ".join(self.args)}'


def read_blocks(path: Path) -> list[Block]:
    text = (ROOT / path).read_text()
    fence = re.compile(r'^( *)```(\w*)\n(.*?)^\1```$', re.M | re.S)
    return [
        Block(path, text[: m.start()].count('\n') + 1, m[2], dedent(m[3]))
        for m in fence.finditer(text)
    ]


BLOCKS = [block for path in DOCS for block in read_blocks(path)]


@cache
def commands_of(block: Block) -> list[Command]:
    """The calls that bash makes of a block."""
    read, write = os.pipe()
    with os.fdopen(read) as calls:
        done = subprocess.run(
            ['/bin/bash', '-c', f'{SHELL}exec 3>&{write}\n{block.text}'],
            env={'PATH': '/nowhere'},
            cwd=ROOT,
            pass_fds=[write],
            capture_output=True,
            text=True,
        )
        os.close(write)
        fields = calls.read().split('\036\0')
    assert done.returncode == 0, f'{block.where}: {done.stderr}'
    return [
        Command(
            block.where,
            [
                # As a synopsis has it: [WORK_DIR] [KEY=VALUE ...]
                re.sub(r'^\[?([A-Z_=]+)\]?$', r'\1', arg)
                for arg in call.split('\0')[:-1]
                if arg.rstrip(']') != '...'
            ],
            set(names.split()) - {'OLDPWD', 'PATH', 'PWD', 'SHLVL', '_'},
        )
        for call, names in zip(fields[:-1:2], fields[1::2], strict=True)
    ]


def launched(command, script: str, args: list[str], folder: Path):
    """Tool and arguments that a launch script starts, by stubs as well."""
    calls = folder / 'calls'
    for name in ('torchrun', 'srun'):
        stub = folder / name
        stub.write_text('#!/bin/sh\nprintf "%s\\0" "$@" > "$CALLS"\n')
        stub.chmod(0o755)
    done = subprocess.run(
        ['bash', str(ROOT / script), *args],
        env={'PATH': f'{folder}:{os.environ["PATH"]}', 'CALLS': str(calls)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f'{command}\n{done.stderr}'
    found = calls.read_text().split('\0')[:-1]
    if 'slurm' in script:
        inner = script.replace('slurm', 'dist')
        start = found.index(str(ROOT / inner)) + 1
        return launched(command, inner, found[start:], folder)
    return torchrun(found)


def torchrun(args: list[str]) -> tuple[str, list[str]]:
    from torch.distributed.run import get_args_parser

    try:
        found = get_args_parser().parse_args(args)
    except SystemExit:
        pytest.fail(f'torchrun {" ".join(args)}')
    script = (ROOT / found.training_script).resolve().relative_to(ROOT)
    return str(script), found.training_script_args


@cache
def config_files() -> list[Path]:
    return list((ROOT / 'configs').rglob('*.py'))


@cache
def load(path: Path) -> dict:
    init_default_scope('mmdet')
    return Config.fromfile(path)._cfg_dict


@cache
def class_of(name: str):
    init_default_scope('mmdet')
    for reg in REGISTRIES:
        found = reg.get(name)
        if found is not None:
            return found
    raise LookupError(name)


def arguments(target) -> set[str]:
    """Names of all arguments that a class, or a function, may take."""
    if not inspect.isclass(target):
        return set(inspect.signature(target).parameters)
    names = set()
    for cls in target.__mro__:
        if '__init__' in vars(cls):
            names |= set(inspect.signature(cls.__init__).parameters)
    return names


def has_setting(cfg, key: str) -> bool:
    """Whether a config has a setting, or one who takes it by default."""
    node, parts = cfg, key.split('.')
    for i, part in enumerate(parts):
        if isinstance(node, (list, tuple)):
            if not (part.isdigit() and int(part) < len(node)):
                return False
            node = node[int(part)]
        elif isinstance(node, dict) and node.get(part) is not None:
            node = node[part]
        elif isinstance(node, dict):
            taken = arguments(
                Runner if node is cfg else class_of(node.get('type', 'none'))
            )
            rest = parts[i + 1 :]
            if part not in taken and part not in node:
                return False
            if not rest or part == 'metainfo':
                return True
            target = PASSED_ON.get('.'.join(parts[: i + 1]))
            return target is not None and rest[0] in arguments(target)
        else:
            return False
    return True


@cache
def has_setting_in(path: Path, key: str) -> bool:
    try:
        return has_setting(load(path), key)
    except LookupError:
        return False
