"""Every command of the documentation is run, page by page, on tiny data.

A reader's folder holds the configs, their detectors shrunk, and tiny data
where they look for it. What a command needs besides and no command before it
made (a checkpoint, proposals) is made for it.
"""

import json
import pickle
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.utils import ManagerMixin
from pages import BLOCKS, CONFIGS, DOCS, commands_of, has_setting_in, launched
from pages import torchrun as read_torchrun
from tiny import ROOT, shrunk
from user_data import user_data

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures('fast_configs'),
]

#: How the commands start that are not run here, and where they are.
ELSEWHERE = {
    'bash tests/run.sh': 'it is what runs this',
    'bash tools/quickstart.sh': 'set-up, and steps of which each is run here',
    'bash tools/setup_env.sh': 'it is what tests/run.sh starts with',
    'mim ': 'test_mim.py',
    'pip ': 'test_mim.py',
    'source ': 'the environment is the reader',
    'tensorboard ': 'a program of its own',
    'python tools/train.py configs/ssh/ssh_vgg16_13e_wider-face.py '
    '--cfg-options model.backbone.init_cfg': 'it starts from weights',
    'python tools/download_weights.py': 'test_tools/test_download_weights.py',
    'python tools/detect_scene.py': 'test_apis/test_scenes.py',
    'python tools/misc/add_focus.py': 'test_tools/test_add_focus.py',
    'python tools/image_demo.py IMAGE focus/': (
        'test_apis/test_inference.py, on such a config'
    ),
    'python tools/blur_faces.py': 'test_apis/test_hiding.py',
    'python tools/analysis_tools/evaluate_faces.py': (
        'test_evaluation/test_face_sets.py'
    ),
    'python tools/dataset_converters/wider_to_coco.py': (
        'test_datasets/test_wider_face_dataset.py'
    ),
    'python tools/model_converters': 'test_tools/test_model_converters.py',
    'python tools/analysis_tools/compare_sahi.py': (
        'test_tools/test_compare_sahi.py, where sahi is'
    ),
    'python tools/dataset_converters/geojson_to_coco.py': (
        'test_tools/test_geojson_to_coco.py, where rasterio is'
    ),
    'python tools/dataset_converters/openimages_to_coco.py': (
        'test_tools/test_openimages_to_coco.py'
    ),
    'python tools/dataset_converters/make_large_scene.py': (
        'test_tools/test_make_large_scene.py'
    ),
    'python tools/dataset_converters/imagenet_det_to_coco.py': (
        'test_tools/test_imagenet_det_to_coco.py'
    ),
    'python tools/dataset_converters/coco_to_openimages.py': (
        'test_tools/test_openimages_to_coco.py'
    ),
    'python tools/image_demo.py FOLDER CONFIG CHECKPOINT --out-dir out '
    '--out-geojson': 'test_apis/test_map_results.py, where rasterio is',
    'python tools/image_demo.py IMAGE CONFIG CHECKPOINT --out-dir out '
    '--out-geojson': 'test_apis/test_map_results.py, where rasterio is',
    'python tools/analysis_tools/drop_': 'test_tools/test_missing_labels.py',
    'python tools/analysis_tools/find_missing_labels.py': (
        'test_tools/test_missing_labels.py'
    ),
    'python tools/misc/score_unlabelled.py': (
        'test_tools/test_missing_labels.py'
    ),
    # What needs a decoupled head, and pictures in folders by class.
    **dict.fromkeys(
        (
            'python tools/teach.py',
            'python tools/propose_labels.py',
            'python tools/image_demo.py IMAGE CONFIG CHECKPOINT '
            '--class-agnostic',
            'python tools/image_demo.py FOLDER CONFIG CHECKPOINT --out-dir '
            'found --out-json found.json',
            'python tools/misc/cluster_classes.py',
            'python tools/train.py CONFIG --cfg-options '
            'model.roi_head.bbox_head.super_classes',
            'python tools/analysis_tools/evaluate_det.py',
            'python tools/analysis_tools/benchmark.py many_classes',
        ),
        'test_tools/test_many_classes_tools.py',
    ),
    'python tools/analysis_tools/tune.py': (
        'test_tools/test_tune.py, on more than one image'
    ),
}
#: Half precision on a GPU; test_engine/test_half_precision.py has it on a CPU.
NEEDS_A_GPU = '--amp'
#: The same, on fewer images or in fewer iterations.
SHORTER = (
    (r'\bepoch_size=\d+', 'epoch_size=2'),
    (r'^14600000$', '1000'),
    (r'^100000$', '1000'),
    (r'^3000$', '600'),
    (r'^20000$', '600'),
    (r'\bnum_workers=8$', 'num_workers=1'),
    (r'\bbatch_size=20$', 'batch_size=4'),
)
#: A word that stands for something of the reader's.
WORDS = {
    'FOLDER': 'data/sample/images',
    'IMAGE': 'data/image.png',
    'WORK_DIR': 'work_dirs/other',
    'KEY=VALUE': 'randomness.seed=0',
    'train.json': 'data/coco/annotations/instances_train2017.json',
    'val.json': 'data/coco/annotations/instances_val2017.json',
    'work_dirs/NAME': 'work_dirs/first',
    'work_dirs/A': 'work_dirs/first',
    'work_dirs/B': 'work_dirs/first',
}
#: A config of AutoFocus, one with masks, and one of MMDetection's.
FOCUS, MASK = CONFIGS[1], CONFIGS[4]
PLAIN = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'


@pytest.fixture(scope='module')
def shelf(tmp_path_factory):
    """Data and small configs, for the folders of all pages."""
    folder = user_data(tmp_path_factory.mktemp('shelf'))
    _write_mine(folder / 'data')
    images = sorted((folder / 'data/sample/images').iterdir())
    shutil.copy(images[0], folder / WORDS['IMAGE'])
    shutil.copytree(ROOT / 'configs', folder / 'configs')
    return folder


def _write_mine(data: Path) -> None:
    """Data of a reader's own: COCO, YOLO, DOTA and VisDrone."""
    coco = json.loads(
        (data / 'coco/annotations/instances_val2017.json').read_text()
    )
    coco['categories'] = [dict(id=1, name='car'), dict(id=2, name='bus')]
    for ann in coco['annotations']:
        ann['category_id'] = 1 + ann['category_id'] % 2
    text = {
        'mine/images/train': 'mine/labels/train',
        'dota/train/images': 'dota/train/labelTxt',
        'visdrone/VisDrone2019-DET-train/images': (
            'visdrone/VisDrone2019-DET-train/annotations'
        ),
    }
    line = {
        'mine': '1 0.25 0.5 0.3 0.5',
        'dota': '10 20 40 20 40 60 10 60 ship 0',
        'visdrone': '10,20,30,40,1,4,0,1',
    }
    for images, labels in text.items():
        shutil.copytree(data / 'sample/images', data / images)
        (data / labels).mkdir(parents=True)
        for path in (data / images).iterdir():
            (data / labels / f'{path.stem}.txt').write_text(
                line[images.split('/')[0]]
            )
    (data / 'mine/data.yaml').write_text('names: [car, bus]')
    for split in ('train', 'val'):
        (data / f'mine/{split}.json').write_text(json.dumps(coco))
    for path in (data / 'sample/images').iterdir():
        shutil.copy(path, data / 'mine/images')


@pytest.fixture
def desk(shelf, tmp_path, monkeypatch):
    """The folder that a page's commands are run in."""
    for name in ('data', 'configs'):
        shutil.copytree(shelf / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')
    yield Desk(monkeypatch)
    torch.set_flush_denormal(False)


class Desk:
    """Runs commands in the present folder."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch
        self.config = None
        self.small = set()
        self.trained_by = None

    def run(self, command) -> None:
        text = ' '.join(command.args)
        if NEEDS_A_GPU in command.args or text.startswith(tuple(ELSEWHERE)):
            return
        program, script, *args = command.args
        args = self.prepared(script, args)
        if program == 'bash' and 'train_neg_props' in script:
            done = subprocess.run(
                ['bash', str(ROOT / script), *args],
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, f'{command}\n{done.stderr[-3000:]}'
            return
        if program == 'bash':
            script, args = launched(command, script, args, Path().absolute())
        elif program == 'torchrun':
            script, args = read_torchrun([script, *args])
        while '--launcher' in args:  # one process is enough
            at = args.index('--launcher')
            del args[at : at + 2]
        self.start(script, args)

    def start(self, script: str, args: list[str]) -> None:
        for kind in [ManagerMixin, *_subclasses(ManagerMixin)]:
            # A program begins without the loggers of the one before.
            kind._instance_dict.clear()
        self.monkeypatch.setattr(sys, 'argv', [script, *args])
        try:
            runpy.run_path(str(ROOT / script), run_name='__main__')
        except SystemExit as end:
            if end.code:
                pytest.fail(f'{script} {" ".join(args)}: {end.code}')

    def prepared(self, script: str, args: list[str]) -> list[str]:
        """Arguments for what is here; what they name is made, if need be."""
        if script.endswith('make_sample_data.py') and len(args) == 1:
            args = ['data/scenes', '--train', '2', '--val', '1']
        if script.endswith('tile_images.py'):  # of as few images as there are
            args[-2:] = ['1', '1']
        args = [WORDS.get(arg, arg) for arg in args]
        for pattern, shorter in SHORTER:
            args = [re.sub(pattern, shorter, arg) for arg in args]
        for i, arg in enumerate(args):
            if arg == 'CONFIG' or re.fullmatch(r'configs/\S+\.py', arg):
                before = args[i - 1] if i else ''
                if before != '--config-out':
                    args[i] = self.config = self.small_config(
                        script, args, arg
                    )
        outputs = ('--out', '--out-dir', '--config-out', '--work-dir')
        for i, arg in enumerate(args):
            if i and args[i - 1] in outputs:
                if arg.endswith('.py'):  # of another way to the same
                    Path(arg).unlink(missing_ok=True)
                continue
            self.provide(script, arg.rpartition('=')[2])
        return args

    def small_config(self, script: str, args: list[str], name: str) -> str:
        """A config, the first that has the settings, made small here."""
        if name == 'CONFIG':
            keys = [
                arg.partition('=')[0]
                for arg in args
                if re.match(r'[a-z_]+(\.\w+)+=', arg)
            ]
            known = list(CONFIGS)
            if script == 'tools/sniperize.py':
                return PLAIN
            if re.search('focus|inference', f'{script} {args}'):
                known = [FOCUS]
            elif 'segm' in args:
                known = [MASK]
            name = next(
                config
                for config in known
                if all(has_setting_in(ROOT / config, key) for key in keys)
            )
        if name not in self.small and (ROOT / name).exists():
            cfg = Config.fromfile(ROOT / name)
            cfg.merge_from_dict(
                {
                    **shrunk(cfg),
                    'train_cfg.max_epochs': 1,
                    'train_cfg.val_interval': 1,
                }
            )
            if 'ChipSampler' in cfg.train_dataloader.sampler.type:
                cfg.train_dataloader.sampler.epoch_size = 2
            cfg.dump(name)
            self.small.add(name)
        return name

    def provide(self, script: str, name: str) -> None:
        """Make a file that a command reads, if it is not there."""
        # The word stands for the checkpoint of whichever config is beside it.
        other = name == 'CHECKPOINT' and self.trained_by != self.config
        if Path(name).exists() and not other:
            return
        if name == 'work_dirs/first' or re.search(r'CHECKPOINT$|\.pth$', name):
            self.trained(Path(name))
        elif name.endswith('.npz'):
            checkpoint = 'trained.pth'
            self.trained(Path(checkpoint))
            args = [self.config, checkpoint, '--out', name]
            if 'recall' in script:
                args += ['--split', 'val']
            self.start('tools/extract_proposals.py', args)
        elif name.endswith('.pkl'):
            images = json.loads(Path(WORDS['train.json']).read_text())[
                'images'
            ]
            boxes = np.float32([[5, 5, 30, 30, 0.5]])
            Path(name).write_bytes(pickle.dumps([boxes] * len(images)))

    def trained(self, name: Path) -> None:
        """A checkpoint of the present config, or a folder of its training."""
        config = self.config or self.small_config('', [], 'CONFIG')
        if name.name == 'CHECKPOINT':
            self.trained_by = self.config
        folder = Path('trainings', Path(config).stem)
        if not (folder / 'epoch_1.pth').exists():
            self.start('tools/train.py', [config, '--work-dir', str(folder)])
        if name.suffix or name.name == 'CHECKPOINT':
            name.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / 'epoch_1.pth', name)
        else:
            shutil.copytree(folder, name)


def _subclasses(kind: type) -> list[type]:
    direct = kind.__subclasses__()
    return direct + [sub for one in direct for sub in _subclasses(one)]


PAGES = [
    path
    for path in DOCS
    if any(b.path == path and b.language == 'bash' for b in BLOCKS)
]


@pytest.mark.parametrize('page', PAGES, ids=str)
def test_commands_run(page, desk):
    seen = set()
    for block in BLOCKS:
        if block.path != page or block.language != 'bash':
            continue
        for command in commands_of(block):
            if str(command.args) not in seen:
                seen.add(str(command.args))
                desk.run(command)


def test_what_is_run_elsewhere_is_there():
    for where in ELSEWHERE.values():
        for name in re.findall(r'test_\w+/test_\w+\.py|test_\w+\.py', where):
            assert (ROOT / 'tests' / name).exists(), name
