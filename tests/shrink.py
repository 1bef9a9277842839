"""Options that make the detector of any config of this package tiny."""

from mmengine.config import Config


def shrunk(cfg: Config) -> dict:
    """Options, as --cfg-options takes them, of detector and data loaders."""
    kind = str(cfg.model.get('detector', cfg.model.type)).split('.')[-1]
    options = {'backbone.init_cfg': None, **_FAMILIES[kind](cfg.model)}
    options = {f'model.{key}': value for key, value in options.items()}
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        options[f'{loader}.num_workers'] = 0
        options[f'{loader}.persistent_workers'] = False
    options['train_dataloader.batch_size'] = 2
    steps = cfg.train_dataloader.dataset.get('pipeline', [])
    for place, step in enumerate(steps):
        if step.type == 'Resize':
            where = f'train_dataloader.dataset.pipeline.{place}'
            options[f'{where}.scale'] = (160, 120)
    return options


def _resnet(model) -> tuple[dict, list]:
    """Options of the backbone, and the channels of its maps."""
    widths = [8, 16, 32, 64]
    if model.backbone.depth > 34:
        widths = [4 * w for w in widths]
    return {'backbone.base_channels': 8}, widths


def _focus(model, channels: list) -> dict:
    """Of a focus head that sees maps of so many channels."""
    if 'focus_head' not in model:
        return {}
    seen = sum(channels[index] for index in model.focus_head.in_indices)
    return {'focus_head.in_channels': seen, 'focus_head.feat_channels': 16}


def _two_stage(model) -> dict:
    if model.get('neck') is None:
        return _c4(model)
    options, widths = {}, model.neck.in_channels
    if model.backbone.type != 'MobileNetV2':
        options, widths = _resnet(model)
    options.update(
        {
            'neck.in_channels': widths,
            'neck.out_channels': 16,
            'rpn_head.in_channels': 16,
            'rpn_head.feat_channels': 16,
            'roi_head.bbox_roi_extractor.out_channels': 16,
            'test_cfg.rpn.max_per_img': 50,
            'test_cfg.rcnn.max_per_img': 20,
            **_focus(model, [16] * 5),
        }
    )
    heads = ['roi_head.bbox_head']
    if isinstance(model.roi_head.bbox_head, list):
        heads = [f'{heads[0]}.{i}' for i in range(3)]
    for head in heads:
        options[f'{head}.in_channels'] = 16
        options[f'{head}.fc_out_channels'] = 32
    if 'mask_head' in model.roi_head:
        options['roi_head.mask_roi_extractor.out_channels'] = 16
        options['roi_head.mask_head.in_channels'] = 16
        options['roi_head.mask_head.conv_out_channels'] = 16
    return options


def _c4(model) -> dict:
    """The shared head is of mmdet's own widths, so depth is what goes."""
    return {
        'backbone.depth': 18,
        'roi_head.shared_head.depth': 18,
        'roi_head.shared_head.init_cfg': None,
        'rpn_head.in_channels': 256,
        'rpn_head.feat_channels': 16,
        'roi_head.bbox_roi_extractor.out_channels': 256,
        'roi_head.bbox_head.in_channels': 512,
        'train_cfg.rpn_proposal.max_per_img': 50,
        'test_cfg.rpn.max_per_img': 20,
        'test_cfg.rcnn.max_per_img': 20,
        **_focus(model, [256]),
    }


def _dense(model) -> dict:
    options, widths = _resnet(model)
    options.update(
        {
            'neck.in_channels': widths,
            # Heads normalise 32 groups.
            'neck.out_channels': 32,
            'bbox_head.in_channels': 32,
            'bbox_head.feat_channels': 32,
            'bbox_head.stacked_convs': 2,
            'test_cfg.max_per_img': 20,
            'test_cfg.score_thr': 0,
            **_focus(model, [32] * 5),
        }
    )
    return options


def _rtmdet(model) -> dict:
    return {
        'backbone.deepen_factor': 0.167,
        'backbone.widen_factor': 0.125,
        'neck.in_channels': [32, 64, 128],
        'neck.out_channels': 32,
        'neck.num_csp_blocks': 1,
        'bbox_head.in_channels': 32,
        'bbox_head.feat_channels': 32,
        # Without training its boxes might all have negative sides.
        'bbox_head.exp_on_reg': True,
        'test_cfg.max_per_img': 20,
        'test_cfg.score_thr': 0,
        **_focus(model, [32] * 3),
    }


def _detr(model) -> dict:
    options, widths = _resnet(model)
    options.update(
        {
            'neck.in_channels': widths[1:],
            'num_queries': 30,
            'encoder.num_layers': 1,
            'decoder.num_layers': 1,
            'test_cfg.max_per_img': 20,
            **_focus(model, [256] * 4),
        }
    )
    return options


def _released(model) -> dict:
    if 'depth' in model.backbone:
        options = {'backbone.depth': 50, 'backbone.base_channels': 8}
        widths = [128, 256]
    else:
        options = {'backbone.widen_factor': 0.25}
        widths = [1280]
    for head in ('rpn_head', 'roi_head'):
        options[f'{head}.in_channels'] = sum(
            widths[index] for index in model[head].in_indices
        )
    options.update(
        {
            'rpn_head.feat_channels': 16,
            'roi_head.out_channels': 16,
            'roi_head.bbox_roi_extractor.channels': 16,
            'roi_head.bbox_head.in_channels': 16,
            'roi_head.bbox_head.fc_out_channels': 32,
            'test_cfg.rpn.max_per_img': 50,
            'test_cfg.rcnn.max_per_img': 20,
            **_focus(model, widths),
        }
    )
    if 'mask_head' in model.roi_head:
        options['roi_head.mask_roi_extractor.channels'] = 16
        options['roi_head.mask_head.in_channels'] = 16
        options['roi_head.mask_head.conv_out_channels'] = 16
    return options


def _ssh(model) -> dict:
    options, channels = {}, [8, 16, 16]
    if model.backbone.type == 'ResNet':
        options, widths = _resnet(model)
        widths = widths[1:]
    elif model.backbone.type == 'MobileNetV2':
        widths = model.neck.in_channels
    else:
        options, widths = {'backbone.base_channels': 4}, [32, 32]
    if 'base' in model:
        options['base'] = (80, 120)
    elif len(model.scales) == 1:
        options['scales'] = [(120, 160)]
    return {
        **options,
        'neck.in_channels': widths,
        'neck.fused_channels': 8,
        'neck.out_channels': channels,
        'bbox_head.in_channels': channels,
        # Without training none might be found.
        'test_cfg.score_thr': 0,
        'test_cfg.max_per_img': 20,
        **_focus(model, channels),
    }


def _rfcn3k(model) -> dict:
    return {
        'backbone.depth': 50,
        'backbone.base_channels': 8,
        'rpn_head.in_channels': 128,
        'rpn_head.feat_channels': 16,
        'roi_head.bbox_head.in_channels': 384,
        'roi_head.bbox_head.feat_channels': 16,
        'test_cfg.rpn.max_per_img': 3,
        # Of random weights each of 3,130 classes has a little.
        'test_cfg.rcnn.score_thr': 1e-4,
    }


_FAMILIES = dict(
    SingleStageDetector=_ssh,
    RFCN3k=_rfcn3k,
    ReleasedFasterRCNN=_released,
    FasterRCNN=_two_stage,
    MaskRCNN=_two_stage,
    CascadeRCNN=_two_stage,
    RetinaNet=_dense,
    FCOS=_dense,
    ATSS=_dense,
    TOOD=_dense,
    RTMDet=_rtmdet,
    DINO=_detr,
)
