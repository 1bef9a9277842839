"""Measures AutoFocus beside the pyramid and the plain detector per level."""

from mmengine.config import Config

from sniper_mmdet.apis import load_autofocus, measure, reference_ways
from sniper_mmdet.models.detectors.focused_image import FocusedImage

from .meters import watch


def benchmark_inference(
    cfg: Config, checkpoint: str, num: int = 0
) -> dict[str, float]:
    """Metrics, seconds and pixels of each way, alternating by image.

    ``num`` images are tested; 0 means all.
    """
    model = load_autofocus(cfg, checkpoint)
    spent = {}
    watched = [
        (model, 'run_detector', 'network'),
        (model.focus_head, 'predict', 'network'),
        (FocusedImage, 'cut', 'pixels'),
        (FocusedImage, 'focus', 'chips'),
        (model, 'merge_levels', 'merge'),
        (model, 'predict', 'all'),
    ]
    warm_up = [{}]  # the times of the first image do not count

    def detect(*item):
        with watch(watched, warm_up.pop() if warm_up else spent):
            return model.predict(*item)

    ways = {**reference_ways(model), 'autofocus': detect}
    table = measure(cfg, ways, num)
    ours = table['autofocus']
    seen, whole = ours.pop('pixels'), ours.pop('pyramid_pixels')
    result = {
        f'{name}_{key}': value
        for name, row in table.items()
        for key, value in row.items()
    }
    whole_time = sum(spent.values())
    del spent['all']  # only parts of it are reported
    for key, value in spent.items():
        result[f'autofocus_{key}_share'] = value / whole_time
    result['autofocus_pixel_share'] = float(seen.sum() / whole.sum())
    for level, share in enumerate((seen / whole).tolist()):
        result[f'autofocus_pixel_share_level{level}'] = share
    result['time_to_pyramid'] = ours['seconds'] / table['pyramid']['seconds']
    return result
