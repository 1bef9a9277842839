"""Parents of heads whose targets get no ignored boxes."""

from inspect import signature

from ..task_modules import hand_on


class HandsOnIgnored:
    """Puts the ignored boxes of images into ``ignored`` of their objects."""

    def loss_by_feat(self, *args, **kwargs) -> dict:
        parent = super().loss_by_feat
        given = signature(parent).bind(*args, **kwargs).arguments
        ignored = given.pop('batch_gt_instances_ignore', None)
        hand_on(given['batch_gt_instances'], ignored)
        return parent(**given)


class TellsIgnored:
    """Puts the ignored boxes of samples into ``ignored`` of their metainfo."""

    def loss(self, *args, **kwargs) -> dict:
        parent = super().loss
        given = signature(parent).bind(*args, **kwargs).arguments
        for sample in given['batch_data_samples']:
            ignored = sample.get('ignored_instances')
            sample.set_metainfo(dict(ignored=ignored))
        return parent(**given)


class KeepsIgnored:
    """Keeps the ignored boxes of a batch in ``_ignored``, for targets."""

    def loss_by_feat(self, *args, **kwargs) -> dict:
        parent = super().loss_by_feat
        given = signature(parent).bind(*args, **kwargs).arguments
        self._ignored = given.get('batch_gt_instances_ignore') or ()
        return parent(**given)
