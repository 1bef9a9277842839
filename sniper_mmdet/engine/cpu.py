"""Settings that make PyTorch fast on machines without a GPU."""

import torch
import torch.distributed as dist
from mmengine.config import Config

from sniper_mmdet.utils.memory import keep_all_freed_memory


def prepare_cpu(launcher: str = 'none', cfg: Config | None = None) -> None:
    """Prepare this process for PyTorch on the CPU; does nothing with a GPU.

    - glibc returns large blocks to the system at each free, and page faults
      then take more time than the network. It is set to keep them (measured:
      4x on the convolutions of two cores).
    - Denormal numbers, frequent in gradients of a fresh network, are slow.
      They are flushed to zero.
    - mmengine's ``init_dist`` needs a CUDA device with any backend, but keeps
      an existing process group. gloo is therefore started first. mmengine's
      runner gives the distributed model a CUDA device, too, if the config has
      no ``model_wrapper_cfg``. The config gets one without a device.

    Args:
        launcher (str): The launcher of a tool. Only 'pytorch' (torchrun)
            describes the processes in the environment.
        cfg (Config, optional): The config of the runner; it is changed in
            place.
    """
    if torch.cuda.is_available():
        return
    torch.set_flush_denormal(True)
    keep_all_freed_memory()
    if launcher != 'pytorch':
        return
    if not dist.is_initialized():
        dist.init_process_group('gloo')
    if cfg is not None and cfg.get('model_wrapper_cfg') is None:
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        )
