"""Checks settings of a config that must agree with each other."""

from collections.abc import Sequence

from sniper_mmdet.chips import ImagePyramid


def check_agreement(
    chip_size: int,
    levels: ImagePyramid,
    pads: Sequence[tuple[int, int]] = (),
    divisor: int = 1,
    test_levels: ImagePyramid | None = None,
    resizing: Sequence[str] = (),
) -> list[str]:
    """Compare the settings of chips and detector, and return warnings.

    Args:
        chip_size (int): ``chip_size`` of the ChipDataset.
        levels (ImagePyramid): Levels of the ChipDataset.
        pads (Sequence[tuple[int, int]]): (height, width) of each
            BatchFixedSizePad in the detector's ``batch_augments``.
        divisor (int): The detector's ``pad_size_divisor``. Defaults to 1.
        test_levels (ImagePyramid, optional): Levels of a PyramidDetector.
            Defaults to None: the detector is not one.
        resizing (Sequence[str]): The ``batch_augments`` that resize chips but
            not the boxes that only a focus head sees.

    Raises:
        ValueError: Chips of a batch would differ in shape, or a focus head
            would learn from misplaced boxes.
    """
    if resizing:
        raise ValueError(
            'AutoFocus learns from boxes that train_dataloader.dataset.'
            "out_of_range='drop' hides, which no batch_augments of "
            'model.data_preprocessor may resize: leave it out, or give '
            f"'ignore' or 'keep'. Received: {', '.join(resizing)}."
        )
    warnings = []
    if test_levels is not None and len(test_levels) != len(levels):
        warnings.append(
            f'train_dataloader.dataset.scales has {len(levels)} levels, '
            f'{list(levels.scales)}, but model.scales has {len(test_levels)}, '
            f'{list(test_levels.scales)}: the levels of tests differ from '
            'those of training.'
        )
    padded = -(-chip_size // divisor) * divisor
    for size in map(tuple, pads):
        differ = (
            f'train_dataloader.dataset.chip_size is {chip_size} but '
            f'model.data_preprocessor.batch_augments pads to {size}'
        )
        if min(size) < chip_size:
            raise ValueError(
                f'{differ}: batches of whole chips and of smaller ones would '
                'differ in shape. Let it pad to the chip_size.'
            )
        if max(size) > padded:
            wasted = 'the padding of a chip wastes computation'
            warnings.append(f'{differ}: {wasted}.')
    return warnings
