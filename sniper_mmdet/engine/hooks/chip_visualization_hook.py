"""Draws the chips that a run trains on."""

import numpy as np
import torch
from mmcv.image import imrescale
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from sniper_mmdet.registry import HOOKS
from sniper_mmdet.structures import annotated_boxes
from sniper_mmdet.utils.pictures import drawing
from sniper_mmdet.visualization import chips as colors
from sniper_mmdet.visualization.panels import draw_boxes, outline, with_title

#: A narrower chip is enlarged, so that its title is legible.
_MIN_WIDTH = 256


@HOOKS.register_module()
class ChipVisualizationHook(Hook):
    """Draws chips of the first batch of an epoch for the visualizer.

    The chips are drawn after the whole pipeline, as they are trained, side by
    side in one image, ``chips``, whose step is the epoch counted from 1.
    Colours are those of ``browse_chips.py``: boxes that a chip trains are
    green, boxes that it ignores are grey; the border of a positive chip is
    orange, that of a negative chip is magenta. All backends of the visualizer
    get the image: LocalVisBackend writes
    ``vis_data/vis_image/chips_{epoch}.png``.

    Only the drawing takes time, once in ``interval`` epochs, on the first
    process. A run without epochs draws when it starts.

    The field ``chip`` of a sample holds level and sign; the hook adds it to
    the samples. Older releases of mmengine start the workers of an
    IterBasedTrainLoop before any hook runs. With these put 'chip' into the
    ``meta_keys`` of PackDetInputs, or titles and borders lack level and sign.

    Args:
        num_chips (int): Largest number of chips. Defaults to 8.
        interval (int): Epochs from one image to the next. Defaults to 1.
        draw_ignored (bool): Whether to draw ignored boxes. Defaults to True.

    Raises:
        ValueError: A setting is out of bounds.
    """

    def __init__(
        self, num_chips: int = 8, interval: int = 1, draw_ignored: bool = True
    ) -> None:
        for name, value in (('num_chips', num_chips), ('interval', interval)):
            if value != int(value) or value < 1:
                raise ValueError(
                    f'{name} must be a positive whole number. '
                    f'Received: {value}.'
                )
        self.num_chips, self.interval = num_chips, interval
        self.draw_ignored = draw_ignored
        self._due = False

    def before_train(self, runner) -> None:
        pipeline = getattr(runner.train_dataloader.dataset, 'pipeline', None)
        for transform in getattr(pipeline, 'transforms', ()):
            keys = getattr(transform, 'meta_keys', ('chip',))
            if 'chip' not in keys:
                transform.meta_keys = (*keys, 'chip')

    def before_train_epoch(self, runner) -> None:
        self._due = runner.epoch % self.interval == 0 and is_main_process()

    def before_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        if not self._due:
            return
        self._due = False
        epoch = runner.epoch + 1
        with drawing(f'the chips of epoch {epoch}'):
            picture = draw_batch(data_batch, self.num_chips, self.draw_ignored)
            picture = np.ascontiguousarray(picture[..., ::-1])  # to RGB
            runner.visualizer.add_image('chips', picture, step=epoch)


def draw_batch(
    data_batch: dict, num: int = 8, draw_ignored: bool = True
) -> np.ndarray:
    """Draw the first chips of a batch of the data loader.

    Args:
        data_batch (dict): ``inputs`` (C, H, W), BGR, and ``data_samples``.
        num (int): Largest number of chips. Defaults to 8.
        draw_ignored (bool): Whether to draw ignored boxes. Defaults to True.

    Returns:
        ndarray: uint8 (H', W', 3), BGR, with about as many columns of chips as
        rows.
    """
    samples = data_batch['data_samples'][:num]
    pairs = zip(data_batch['inputs'], samples, strict=False)
    panels = [_draw_chip(*pair, draw_ignored) for pair in pairs]
    columns = int(np.ceil(len(panels) ** 0.5))
    rows = -(-len(panels) // columns)
    height, width = np.max([panel.shape[:2] for panel in panels], 0)
    picture = np.zeros((rows * height, columns * width, 3), np.uint8)
    for k, panel in enumerate(panels):
        y, x = k // columns * height, k % columns * width
        picture[y : y + panel.shape[0], x : x + panel.shape[1]] = panel
    return picture


def _draw_chip(chip: torch.Tensor, sample, draw_ignored: bool) -> np.ndarray:
    """Draw a chip with its boxes, below a title."""
    image = chip.detach().cpu().numpy().transpose(1, 2, 0)
    image = np.clip(image, 0, 255).astype(np.uint8)
    scale = max(_MIN_WIDTH / image.shape[1], 1)
    panel = imrescale(image, scale)
    trained, ignored = (
        annotated_boxes({'gt_instances': sample.get(name)})
        for name in ('gt_instances', 'ignored_instances')
    )
    drawn = [(ignored, colors.IGNORED)] if draw_ignored else []
    for boxes, color in (*drawn, (trained, colors.VALID)):
        # Boxes are half-open.
        corners = np.rint(boxes * scale).astype(int) - [0, 0, 1, 1]
        draw_boxes(panel, corners, color)
    title = f'{len(trained)} trained, {len(ignored)} ignored'
    about = sample.get('chip')
    if about is not None:
        sign, color = '-', colors.NEGATIVE
        if about['positive']:
            sign, color = '+', colors.POSITIVE
        outline(panel, np.array([0, 0, *panel.shape[1::-1]]), color)
        title = f'level {about["level"]} {sign}  {title}'
    return with_title(panel, title)
