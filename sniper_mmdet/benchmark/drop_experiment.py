"""Measures what missing labels cost, and how much each remedy helps.

A share of the training boxes is dropped (arXiv 1806.06986, section 4). The
same detector is trained on the rest in several ways, and tested on all boxes
of other images.
"""

import json
from pathlib import Path

from mmengine.config import Config
from mmengine.fileio import load
from mmengine.logging import print_log

from sniper_mmdet.apis.loading import load_trained
from sniper_mmdet.apis.unlabelled import image_infos, write_scores
from sniper_mmdet.datasets.dropped_labels import drop_labels, with_ignored
from sniper_mmdet.engine.build import checked_runner, own_work_dir
from sniper_mmdet.evaluation.coco import average_precision, evaluate_boxes
from sniper_mmdet.evaluation.ground_truth import read_ground_truth
from sniper_mmdet.evaluation.operating_point import best_f1, f1_at
from sniper_mmdet.utils.files import write_json

from .drop_runs import Run
from .drop_sets import DropSet

#: IoU with a dropped box above which the upper bound ignores background.
_BOUND_IOU = dict(rpn=0.3, rcnn=0.5)


class DropExperiment:
    """Trains and tests each run once.

    Args:
        config (str): Config of a two-stage detector with a
            ``SoftSamplingRoIHead``.
        sets (dict[str, DropSet]): The datasets by name.
        out (Path): The folder of all runs.
        iters (int): Iterations per training. Defaults to 1500.
        side (int): Images are resized so that their shorter side has this many
            pixels. Smaller images are not resized. Defaults to 320.
        batch_size (int): Batch size of training. Defaults to 4.
        score_thr (float): Score threshold of F1. Defaults to 0.4.
        num_workers (int): Number of processes that load images. Defaults to 1.
        options (dict, optional): Settings that override the config's.

    Raises:
        ValueError: The config has another detector.
    """

    def __init__(
        self,
        config: str,
        sets: dict[str, DropSet],
        out: Path,
        iters: int = 1500,
        side: int = 320,
        batch_size: int = 4,
        score_thr: float = 0.4,
        num_workers: int = 1,
        options: dict | None = None,
    ) -> None:
        self.config, self.sets, self.out = config, sets, out
        self.iters, self.side, self.batch_size = iters, side, batch_size
        self.score_thr, self.num_workers = score_thr, num_workers
        self.options = options
        head = Config.fromfile(config).model.get('roi_head') or {}
        if 'SoftSampling' not in str(head.get('type')):
            raise ValueError(
                f'{config}: model.roi_head.type must be a SoftSamplingRoIHead '
                f'of this package. Received: {head.get("type")}.'
            )

    def run(self, run: Run) -> dict:
        """Train and test, or read an existing result.

        Returns:
            dict: ``AP50``, ``AP``, ``F1``, ``precision`` and ``recall`` at
            the score threshold, and ``best_F1`` in %; ``best_score``.

        Raises:
            ValueError: The existing result has other settings.
        """
        folder = self.out / run.folder
        result = folder / 'result.json'
        about = dict(
            config=Path(self.config).name,
            iters=self.iters,
            side=self.side,
            batch_size=self.batch_size,
            score_thr=self.score_thr,
            options=json.loads(json.dumps(self.options or {}, default=str)),
        )
        if result.is_file():
            found = json.loads(result.read_text())
            if found['settings'] != about:
                raise ValueError(
                    f'{result} is of a run with other settings, '
                    f'{found["settings"]}: choose another --out-dir. '
                    f'Received: {about}.'
                )
            return found['result']
        print_log(f'{run.folder}: {self.iters} iterations', 'current')
        cfg = self.config_of(run)
        with own_work_dir(cfg):
            runner = checked_runner(cfg, 'train', 'val')
            runner.train()
        data = self.sets[run.data]
        found = load(f'{cfg.val_evaluator.outfile_prefix}.bbox.json')
        truth = read_ground_truth(data.val)
        scores = average_precision(evaluate_boxes(truth, found))
        scores = {name: float(scores[name]) for name in ('AP50', 'AP')}
        scores |= f1_at(truth, found, self.score_thr)
        scores |= best_f1(truth, found)
        write_json(result, dict(settings=about, result=scores))
        return scores

    def config_of(self, run: Run) -> Config:
        """The config of a run; writes the annotation files of the run."""
        data = self.sets[run.data]
        folder = self.out / run.folder
        kept, dropped = drop_labels(data.train, run.rate, run.seed)
        if run.way == 'bound':
            kept = with_ignored(kept, dropped)
        write_json(folder / 'train.json', kept)
        # A copy to evaluate how many of the dropped boxes are found.
        write_json(folder / 'dropped.json', dropped)
        cfg = Config.fromfile(self.config)
        if self.options:
            cfg.merge_from_dict(self.options)
        pack = dict(type='sniper_mmdet.PackKnownLabels')
        head = cfg.model.roi_head
        for one in _listed(head.bbox_head):
            one.num_classes = len(data.classes)
        head.soft_sampling = None
        if run.way == 'overlap':
            head.soft_sampling = dict(type='sniper_mmdet.OverlapWeights')
        elif run.way == 'scores':
            head.soft_sampling = dict(type='sniper_mmdet.ScoreWeights')
            pack['scores'] = str(folder / 'scores.npz')
            self._write_scores(run._replace(way='plain'), pack['scores'])
        elif run.way == 'bound':
            for stage, iou in _BOUND_IOU.items():
                for one in _listed(cfg.model.train_cfg[stage]):
                    one.assigner.ignore_iou_thr = iou
        self._set_data(cfg, data, folder, pack)
        self._set_schedule(cfg, folder, run)
        return cfg

    def _write_scores(self, plain: Run, path: str) -> None:
        """Write the plain detector's detections on its training images."""
        folder = self.out / plain.folder
        cfg = self.config_of(plain)
        checkpoint = folder / f'iter_{self.iters}.pth'
        if not checkpoint.is_file():
            raise FileNotFoundError(
                f'{checkpoint}, the plain detector whose scores become '
                f'weights, is missing: remove {folder / "result.json"} to '
                'train it again.'
            )
        model = load_trained(cfg, checkpoint)
        write_scores(model, image_infos(cfg), path)

    def _set_data(
        self, cfg: Config, data: DropSet, folder: Path, pack: dict
    ) -> None:
        resize = dict(
            type='Resize',
            scale=(4 * self.side, data.side_of(self.side)),
            keep_ratio=True,
        )
        shown = 'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'
        source = dict(
            type='CocoDataset',
            metainfo=dict(classes=tuple(data.classes)),
            data_prefix=dict(img=str(data.images)),
        )
        train = dict(
            source,
            ann_file=str(folder / 'train.json'),
            # An image whose boxes are all dropped is background.
            filter_cfg=dict(filter_empty_gt=False),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='sniper_mmdet.IgnoreGroupOf'),
                dict(type='LoadAnnotations', with_bbox=True),
                resize,
                dict(type='RandomFlip', prob=0.5),
                pack,
            ],
        )
        val = dict(
            source,
            ann_file=str(data.val),
            test_mode=True,
            pipeline=[
                dict(type='LoadImageFromFile'),
                resize,
                dict(type='LoadAnnotations', with_bbox=True),
                dict(type='PackDetInputs', meta_keys=shown),
            ],
        )
        workers = self.num_workers
        loader = dict(num_workers=workers, persistent_workers=workers > 0)
        cfg.train_dataloader = dict(
            loader,
            batch_size=self.batch_size,
            sampler=dict(type='InfiniteSampler', shuffle=True),
            dataset=train,
        )
        cfg.val_dataloader = dict(
            loader,
            batch_size=1,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=val,
        )
        cfg.test_dataloader = cfg.val_dataloader
        cfg.val_evaluator = dict(
            type='CocoMetric',
            ann_file=str(data.val),
            metric='bbox',
            format_only=True,
            outfile_prefix=str(folder / 'found'),
        )
        cfg.test_evaluator = cfg.val_evaluator

    def _set_schedule(self, cfg: Config, folder: Path, run: Run) -> None:
        iters, warm_up = self.iters, max(self.iters // 10, 1)
        cfg.train_cfg = dict(
            type='IterBasedTrainLoop', max_iters=iters, val_interval=iters
        )
        cfg.param_scheduler = [
            dict(
                type='LinearLR',
                start_factor=0.1,
                by_epoch=False,
                begin=0,
                end=warm_up,
            ),
            dict(
                type='CosineAnnealingLR',
                eta_min_ratio=0.02,
                by_epoch=False,
                begin=0,
                end=iters,
            ),
        ]
        cfg.default_hooks.checkpoint = dict(
            type='CheckpointHook', by_epoch=False, interval=iters
        )
        cfg.default_hooks.pop('visualization', None)
        cfg.log_processor = dict(by_epoch=False)
        cfg.randomness = dict(seed=run.seed)
        cfg.work_dir = str(folder)
        # Visualizers are found by name.
        cfg.experiment_name = str(run.folder).replace('/', '_')
        cfg.visualizer = dict(
            type='DetLocalVisualizer',
            name=cfg.experiment_name,
            vis_backends=[dict(type='LocalVisBackend')],
        )


def _listed(part) -> list:
    """A setting as a list, or the settings of the stages of a cascade."""
    return part if isinstance(part, list) else [part]
