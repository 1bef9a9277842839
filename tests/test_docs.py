"""Commands, configs, settings and links in the documentation are right.

Every block of commands is run by bash, the programs in it being stubs that
write down how they were called; each call is then read by the program's own
parser of arguments, and the settings it changes are looked up in its config.
Configs are loaded, other Python is run. Some central commands are run for
good, on tiny scenes; test_docs_run.py, which is slow, runs all.
"""

import argparse
import importlib.util
import re
import runpy
import shutil
import sys
from functools import cache, partialmethod
from pathlib import Path

import mmdet
import pytest
import torch
from mmengine.config import Config
from pages import (
    BLOCKS,
    CONFIGS,
    DOCS,
    Block,
    Command,
    arguments,
    class_of,
    commands_of,
    config_files,
    has_setting_in,
    launched,
    load,
    torchrun,
)
from tiny import ROOT, SAMPLE_CONFIG, sample_options

pytestmark = pytest.mark.usefixtures('fast_configs')

#: Programs that are not looked into further, and why.
NOT_RUN = {
    'pip': 'needs a package index',
    'mim': 'needs a network; test_mim.py runs those that need none',
    'source': 'the environment is the reader',
    'tensorboard': 'a program of its own, and optional',
}
#: Folders that a page's commands fill, and whose files others of them read.
MADE = ('zoo', 'focus')
#: A config of AutoFocus.
FOCUS = ROOT / CONFIGS[1]
#: Scripts whose arguments are none, or those of another program.
WITHOUT_ARGUMENTS = (
    'tools/quickstart.sh',  # downloads and compiles
    'tools/setup_env.sh',
    'tests/run.sh',
)


def blocks_in(language):
    found = [block for block in BLOCKS if block.language == language]
    return pytest.mark.parametrize('block', found, ids=lambda b: b.where)


# Programs and their arguments -------------------------------------------


class _Parser(BaseException):
    """Carries a tool's parser away from where it is used."""


@cache
def load_tool(script: str):
    """A tool as a module."""
    path = ROOT / script
    spec = importlib.util.spec_from_file_location(f'tool_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)
        spec.loader.exec_module(module)
    return module


@cache
def parser_of(script: str) -> argparse.ArgumentParser:
    def catch(self, *_):
        raise _Parser(self)

    module = load_tool(script)
    with pytest.MonkeyPatch.context() as patch:
        # An abbreviated flag may be a misspelled one.
        init = argparse.ArgumentParser.__init__
        patch.setattr(
            argparse.ArgumentParser,
            '__init__',
            partialmethod(init, allow_abbrev=False),
        )
        patch.setattr(argparse.ArgumentParser, 'parse_args', catch)
        with pytest.raises(_Parser) as caught:
            getattr(module, 'parse_args', module.main)()
    return caught.value.args[0]


def parsed(command, script: str, args: list[str], folder: Path, capsys):
    """A tool's arguments; what it checks itself is checked too."""
    assert (ROOT / script).is_file(), command
    try:
        found = parser_of(script).parse_args(args)
        module = load_tool(script)
        if hasattr(module, 'parse_args'):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, 'argv', [script, *args])
                patch.setenv('LOCAL_RANK', '0')
                patch.chdir(folder)
                found = module.parse_args()
    except SystemExit:
        error = capsys.readouterr().err
        # The reader's data are not here.
        if 'data/' not in error or 'does not exist' not in error:
            pytest.fail(f'{command}\n{error}')
    return found


def check(command: Command, folder: Path, capsys) -> None:
    """That a command is one that would run, given the files it names."""
    program, *args = command.args
    if program in NOT_RUN:
        if args[:2] == ['train', 'sniper_mmdet']:
            assert args[2] in {p.name for p in config_files()}, command
        if args[0] == 'download':
            download(command, args, folder)
        return
    if program == 'bash':
        script, *args = args
        assert (ROOT / script).is_file(), command
        text = (ROOT / script).read_text()
        if 'dist_' in script or 'slurm_' in script:
            if 'slurm_' in script:
                text += (ROOT / script.replace('slurm', 'dist')).read_text()
            script, args = launched(command, script, args, folder)
        elif script == 'tools/train_neg_props_and_sniper.sh':
            config, *rest = args
            options = [a for a in rest if '=' in a]
            assert rest.index(options[0]) <= 1 if options else len(rest) <= 1
            args = [config, *(['--cfg-options', *options] if options else [])]
            script = 'tools/train.py'
        else:
            assert script in WITHOUT_ARGUMENTS and not args, command
            return
        for name in command.variables - {'OMP_NUM_THREADS'}:
            assert re.search(rf'\b{name}\b', text), f'{command}: {name}'
    elif program == 'torchrun':
        script, args = torchrun(args)
    else:
        script, *args = args
    found = parsed(command, script, args, folder, capsys)
    config = getattr(found, 'config', None)
    if config is None:
        return
    options = getattr(found, 'cfg_options', None) or {}
    check_settings(command, config, options, folder)
    checkpoint = Path(getattr(found, 'checkpoint', None) or 'CHECKPOINT')
    if checkpoint.parts[0] in MADE:
        assert (folder / checkpoint).is_file(), f'{command}: {checkpoint}'
    if script == 'tools/misc/add_focus.py' and str(found.out_dir) in MADE:
        write(folder / found.out_dir, f'{Path(config).stem}_autofocus', FOCUS)


def download(command: Command, args: list[str], folder: Path) -> None:
    """Write what mim would: a config of the zoo, and its weights."""
    name, dest = (args[args.index(k) + 1] for k in ('--config', '--dest'))
    zoo = Path(mmdet.__file__).parent / '.mim/configs'
    configs = list(zoo.glob(f'*/{name}.py'))
    assert configs and dest in MADE, command
    text = (configs[0].parent / 'metafile.yml').read_text()
    weights = re.search(rf'Name: {name}\n.*?Weights: (\S+)', text, re.S)[1]
    write(folder / dest, name, configs[0], Path(weights).name)


def write(folder: Path, name: str, config: Path, weights: str = '') -> None:
    """A config and an empty checkpoint that a command would have made."""
    folder.mkdir(exist_ok=True)
    Config.fromfile(config).dump(folder / f'{name}.py')
    (folder / (weights or f'{name}.pth')).touch()


# Configs and their settings ------------------------------------------------


def check_settings(where, config: str, options: dict, folder: Path) -> None:
    """That the config is there, and has what the options change."""
    if config == 'CONFIG':
        paths = [ROOT / name for name in CONFIGS]
    else:
        paths = [p for p in (ROOT / config, folder / config) if p.is_file()]
        assert paths, f'{where}: there is no {config}'
    for key in options:
        if key == 'KEY':
            continue
        known = [has_setting_in(path, key) for path in paths]
        assert any(known), f'{where}: no setting {key}'


def unknown_arguments(node) -> list[str]:
    """Settings that components of this package, in a config, do not take."""
    if isinstance(node, (list, tuple)):
        return [name for item in node for name in unknown_arguments(item)]
    if not isinstance(node, dict):
        return []
    found = []
    kind = str(node.get('type', ''))
    if kind.startswith('sniper_mmdet.'):
        known = arguments(class_of(kind)) | {'type', '_scope_'}
        if isinstance(node.get('detector'), str):
            known |= arguments(class_of(node['detector']))
        found = [f'{kind}.{key}' for key in node if key not in known]
    return found + unknown_arguments(list(node.values()))


@pytest.fixture(scope='module')
def user(tmp_path_factory):
    """A folder with the configs, and those that pages say to write."""
    folder = tmp_path_factory.mktemp('user')
    shutil.copytree(ROOT / 'configs', folder / 'configs')
    for block in BLOCKS:
        if block.language == 'python' and '_base_ = ' in block.text:
            path = folder / config_name(block)
            assert not path.exists(), block.where
            path.write_text(
                block.text.replace('/CONFIG.py', f'/{Path(CONFIGS[0]).name}')
                # A list that is to be completed.
                .replace(', ...]', ']')
            )
    return folder


def config_name(block: Block) -> str:
    """Where a config is to be written: its first line may say so."""
    named = re.match(r'# (configs/\S+\.py)\n', block.text)
    if named:
        return named[1]
    return f'configs/sniper/{re.sub(r"[^a-z0-9]", "_", block.where)}.py'


# Tests ---------------------------------------------------------------------


@blocks_in('bash')
def test_commands(block, user, capsys):
    commands = commands_of(block)
    assert commands
    for command in commands:
        check(command, user, capsys)


@blocks_in('python')
def test_python(block, user, monkeypatch):
    if '_base_ = ' in block.text:
        found = dict(Config.fromfile(user / config_name(block)))
    else:
        monkeypatch.chdir(user)
        code, found = compile(block.text, block.where, 'exec'), {}
        if "'CONFIG'" not in block.text:  # else run with a checkpoint, below
            exec(code, found)
            found.pop('__builtins__')
    assert not unknown_arguments(found)


def test_blocks_are_of_a_language_that_is_checked():
    assert {block.language for block in BLOCKS} == {'bash', 'python'}
    assert len(BLOCKS) > 60


@pytest.mark.parametrize(
    'line, reason',
    [
        ('python tools/train.py CONFIG --resum', 'arguments: --resum'),
        ('python tools/trian.py CONFIG', 'tools/trian.py'),
        ('python tools/test.py CONFIG FILE --eval boxes', 'invalid choice'),
        ('python tools/test.py CONFIG', 'required: checkpoint'),
        ('python tools/train.py configs/sniper/no.py', 'no configs/sniper/no'),
        (
            'python tools/train.py CONFIG --cfg-options model.scale=1',
            'no setting model.scale',
        ),
        (
            'bash tools/dist_train.sh CONFIG 8 --cfg-options model.neck.x=1',
            'no setting model.neck.x',
        ),
        ('GPU=8 bash tools/slurm_train.sh PART JOB CONFIG DIR', ': GPU'),
        (
            'bash tools/slurm_test.sh PART JOB CONFIG FILE --evaluate bbox',
            'arguments: --evaluate',
        ),
        (
            'bash tools/train_neg_props_and_sniper.sh CONFIG dir model.x=1',
            'no setting model.x',
        ),
        (
            'torchrun --nproc-per-node=8 tools/extract_proposals.py CONFIG '
            'FILE --outs x.npz',
            'required: --out',
        ),
        ('torchrun --processes=8 tools/train.py CONFIG', '--processes'),
        ('mim train sniper_mmdet no_such_config.py', 'no_such_config'),
        ('pyhton tools/train.py CONFIG', 'pyhton: command not found'),
        ('python tools/train.py $UNSET', 'UNSET: unbound variable'),
    ],
)
def test_a_wrong_command_is_noticed(line, reason, user, capsys):
    block = Block(Path('page.md'), 1, 'bash', line)
    with pytest.raises(
        (AssertionError, pytest.fail.Exception), match=re.escape(reason)
    ):
        for command in commands_of(block):
            check(command, user, capsys)


def prose(path: Path) -> str:
    text = (ROOT / path).read_text()
    return re.sub(r'^( *)```.*?^\1```$', '', text, flags=re.M | re.S)


each_page = pytest.mark.parametrize('path', DOCS, ids=str)


@cache
def anchors(path: Path) -> set[str]:
    """Of headings, as GitHub makes them."""
    found = set()
    for heading in re.findall(r'^#+ (.+)$', prose(path), re.M):
        words = re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-')
        found.add(words)
    return found


@each_page
def test_links(path):
    for link in re.findall(r'\]\(([^)\s]+)\)', prose(path)):
        if link.startswith('https://'):
            continue
        name, _, anchor = link.partition('#')
        target = (ROOT / path.parent / name).resolve() if name else ROOT / path
        assert target.exists(), f'{path}: {link}'
        if anchor:
            known = anchors(target.relative_to(ROOT))
            assert anchor in known, f'{path}: {link}'


def expand(name: str) -> list[str]:
    """Names that braces stand for, as bash has it."""
    braces = re.search(r'\{([^{}]*,[^{}]*)\}', name)
    if not braces:
        return [name]
    start, end = name[: braces.start()], name[braces.end() :]
    return [
        full
        for part in braces[1].split(',')
        for full in expand(f'{start}{part}{end}')
    ]


@each_page
def test_names_in_the_text(path, user):
    """Files, flags of tools, and settings that a page names in passing."""
    names = {p.name for p in config_files()}
    for code in re.findall(r'`([^`\n]+)`', prose(path)):
        code = code.replace('...', '')
        first, *rest = code.split()
        if re.match(r'(tools|configs|tests|docs|sniper_mmdet)/', first):
            for name in expand(first):
                assert (ROOT / name).exists(), f'{path}: {name}'
        elif re.match(r'(sniper|autofocus|ssh)/\S+\.py$', first):
            assert (ROOT / 'configs' / first).exists(), f'{path}: {first}'
        elif re.search(
            r'_(sniper|autofocus|stock-ms|stock-slices)_\S+\.py$', first
        ):
            for name in expand(first):
                assert name in names, f'{path}: {name}'
        if re.match(r'tools/\S+\.py$', first):
            flags = [word for word in rest if word.startswith('--')]
            for flag in flags:
                options = parser_of(first)._option_string_actions
                assert flag in options, f'{path}: {code}'
        key = re.match(r'([a-z_]+(\.\w+)+)( = |=|$)', code)
        if key and key[1].split('.')[0] in load(ROOT / CONFIGS[0]):
            check_settings(path, 'CONFIG', {key[1]: None}, user)


def test_every_page_is_listed():
    index = (ROOT / 'docs/README.md').read_text()
    for page in (ROOT / 'docs').glob('*.md'):
        if page.name not in ('README.md', 'index.md'):
            assert f']({page.name})' in index, page


#: Of sniper_res101_e2e.yml and the other configs of that kind.
ORIGINAL = {
    '': 'MXNET_VERSION output_path symbol gpus CLASS_AGNOSTIC proposal_path',
    'default.': 'kvstore frequent',
    'network.': 'pretrained pretrained_epoch PIXEL_MEANS RPN_FEAT_STRIDE '
    'FIXED_PARAMS ANCHOR_RATIOS ANCHOR_SCALES NUM_ANCHORS',
    'dataset.': 'NUM_CLASSES dataset dataset_path image_set root_path '
    'test_image_set proposal',
    'TRAIN.': 'CPP_CHIPS CHIPS_DB_PARTS NUM_PROCESS NUM_THREAD WITH_MASK '
    'USE_NEG_CHIPS ONLY_PROPOSAL AUTO_FOCUS AUTO_FOCUS_SMALL_THRESH '
    'AUTO_FOCUS_DC_LOW AUTO_FOCUS_DC_HIGH SCALES VALID_RANGES lr lr_step '
    'lr_factor warmup warmup_lr warmup_step momentum wd fp16 scale '
    'begin_epoch end_epoch model_prefix FLIP SHUFFLE ENABLE_OHEM BATCH_IMAGES '
    'END2END BATCH_ROIS BATCH_ROIS_OHEM FG_FRACTION FG_THRESH BG_THRESH_HI '
    'BG_THRESH_LO BBOX_REGRESSION_THRESH BBOX_WEIGHTS RPN_BATCH_SIZE '
    'RPN_FG_FRACTION RPN_POSITIVE_OVERLAP RPN_NEGATIVE_OVERLAP '
    'RPN_CLOBBER_POSITIVES RPN_BBOX_WEIGHTS RPN_POSITIVE_WEIGHT CXX_PROPOSAL '
    'RPN_NMS_THRESH RPN_PRE_NMS_TOP_N RPN_POST_NMS_TOP_N RPN_MIN_SIZE '
    'BBOX_NORMALIZATION_PRECOMPUTED BBOX_MEANS BBOX_STDS visualize '
    'visualization_path visualization_freq ALTERNATE',
    'TEST.': 'MAX_PER_IMAGE SCALES BATCH_IMAGES CONCURRENT_JOBS VALID_RANGES '
    'AUTO_FOCUS DO_PRUNING CHIP_HYPERPARAMS USE_CACHE HAS_RPN RPN_NMS_THRESH '
    'RPN_PRE_NMS_TOP_N RPN_POST_NMS_TOP_N RPN_MIN_SIZE PROPOSAL_NMS_THRESH '
    'PROPOSAL_PRE_NMS_TOP_N PROPOSAL_POST_NMS_TOP_N PROPOSAL_MIN_SIZE NMS '
    'NMS_SIGMA TEST_EPOCH VISUALIZATION_PATH VISUALIZE_INTERMEDIATE_SCALES '
    'EXTRACT_PROPOSALS PROPOSAL_SAVE_PATH N_PROPOSAL_PER_SCALE TEST_FLAG '
    'CXX_PROPOSAL max_per_image test_epoch',
}


def test_every_setting_of_the_original_has_its_place():
    page = (ROOT / 'docs/from_sniper.md').read_text()
    rows = re.findall(r'^\| (.+?) \| (.+?) \|$', page, re.M)
    place = {
        name: right
        for left, right in rows
        for name in re.findall(r'`([^`]+)`', left)
    }
    for section, names in ORIGINAL.items():
        for name in names.split():
            assert place.get(f'{section}{name}'), f'{section}{name}'


# What is run for good --------------------------------------------------------


def documented(page: str, start: str) -> list[str]:
    """The first command of a page that starts like this."""
    for block in BLOCKS:
        if str(block.path) == page and block.language == 'bash':
            for command in commands_of(block):
                if ' '.join(command.args).startswith(start):
                    return command.args
    raise LookupError(f'{page}: {start}')


def test_central_commands_run(tiny_scenes, tmp_path, monkeypatch, capsys):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/sample').symlink_to(tiny_scenes)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')
    cfg = Config.fromfile(SAMPLE_CONFIG)
    options = {
        'train_cfg.max_epochs': 1,
        'train_cfg.val_interval': 2,
        'train_dataloader.sampler.epoch_size': 2,
        'auto_scale_lr': dict(base_batch_size=128),
    }
    cfg.merge_from_dict(sample_options(**options))
    cfg.dump('tiny.py')
    meant = {
        'CONFIG': 'tiny.py',
        'FOLDER': 'data/sample/images',
        'work_dirs/mine/epoch_7.pth': 'work_dirs/mine/epoch_1.pth',
    }

    def run(page, start):
        _, script, *args = documented(page, start)
        args = [meant.get(arg, arg) for arg in args]
        monkeypatch.setattr(sys, 'argv', [script, *args])
        runpy.run_path(str(ROOT / script), run_name='__main__')
        return capsys.readouterr().out

    try:
        run('README.md', 'python tools/train.py CONFIG')
        assert 'bbox_mAP' in run('README.md', 'python tools/test.py CONFIG')
        run('README.md', 'python tools/image_demo.py FOLDER')
        assert len(list(Path('out/vis').iterdir())) == 8
        programs = [
            block.text
            for block in BLOCKS
            if block.language == 'python'
            and "'CONFIG'" in block.text
            # test_teaching.py runs those that teach.
            and 'teach(' not in block.text
        ]
        for program in programs:
            for word, value in {
                **meant,
                'CHECKPOINT': meant['work_dirs/mine/epoch_7.pth'],
                'cuda:0': 'cpu',
            }.items():
                program = program.replace(f"'{word}'", f"'{value}'")
            exec(program, {})
        page = 'docs/settings.md'
        tools = 'python tools/analysis_tools/'
        assert 'chips an image' in run(page, f'{tools}chip_statistics.py')
        run(page, f'{tools}browse_chips.py')
        assert len(list(Path('chips').iterdir())) == 6
        assert 'proposed' in run(page, f'{tools}suggest_settings.py')
        assert Path('sizes.png').exists()
    finally:
        torch.set_flush_denormal(False)
