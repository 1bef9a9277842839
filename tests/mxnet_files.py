"""Writes ``.params`` files byte for byte as MXNet does, on a CPU."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

TYPES = 'float32 float64 float16 uint8 int32 int8 int64'.split()
_VERSIONS = dict(
    legacy=b'',
    v1=struct.pack('<I', 0xF993FAC8),
    v2=struct.pack('<Ii', 0xF993FAC9, 0),
    v3=struct.pack('<Ii', 0xF993FACA, 0),
)
VERSIONS = list(_VERSIONS)


def write_params(
    path: str | Path,
    arrays: dict[str, np.ndarray] | Sequence[np.ndarray],
    version: str = 'v2',
) -> None:
    """Write arrays, those without dimensions without their value but in v3.

    Args:
        path (str | Path): The file.
        arrays (dict | Sequence): By name, or without names; of TYPES.
        version (str): One of VERSIONS. Defaults to 'v2', of MXNet 1.2.
    """
    names = list(arrays) if isinstance(arrays, dict) else []
    if names:
        arrays = list(arrays.values())
    parts = [struct.pack('<QQQ', 0x112, 0, len(arrays))]
    parts += [_tensor(np.asarray(array), version) for array in arrays]
    parts.append(struct.pack('<Q', len(names)))
    for name in map(str.encode, names):
        parts += [struct.pack('<Q', len(name)), name]
    Path(path).write_bytes(b''.join(parts))


def _tensor(array: np.ndarray, version: str) -> bytes:
    side = 'I' if version == 'legacy' else 'q'
    start = _VERSIONS[version] + struct.pack(
        f'<I{array.ndim}{side}', array.ndim, *array.shape
    )
    if not array.ndim and version != 'v3':
        return start
    device = struct.pack('<ii', 1, 0)
    kind = struct.pack('<i', TYPES.index(array.dtype.name))
    values = array.astype(array.dtype.newbyteorder('<')).tobytes()
    return start + device + kind + values
