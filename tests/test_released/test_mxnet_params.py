"""Parameter files of MXNet: its own, ours, and all kinds of damaged ones."""

import math
import os
import struct

import numpy as np
import pytest
from damaged_files import read_and_measure
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from mxnet_files import TYPES, VERSIONS, write_params

from sniper_mmdet.released.mxnet_params import read_params

#: Written by MXNet 1.9.1, npx.save: a scalar s, e without a value, and a.
OF_NUMPY_SHAPES = bytes.fromhex(
    '1201000000000000 0000000000000000 0300000000000000'
    'cafa93f9 00000000 00000000 01000000 00000000 00000000 00006040'
    'cafa93f9 00000000 03000000 0200000000000000 0000000000000000'
    '0300000000000000 01000000 00000000 06000000'
    'cafa93f9 00000000 02000000 0200000000000000 0300000000000000'
    '01000000 00000000 04000000'
    '00000000 01000000 02000000 03000000 04000000 05000000'
    '0300000000000000 0100000000000000 73 0100000000000000 65'
    '0100000000000000 61'
)
HUGE = [struct.pack('<Q', 2**n - 1) for n in (63, 64, 60, 40, 32)]
HUGE += [struct.pack('<I', 2**n - 1) for n in (31, 20)]


@pytest.fixture
def parity(shared_data):
    """The folder of files that MXNet wrote."""
    folder = shared_data.parent / 'parity'
    if not folder.is_dir():
        pytest.skip(f'there is no folder {folder}')
    return folder


def same(found, expected):
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()
        assert found[name].flags.aligned and found[name].flags.writeable


def loads(folder, data):
    path = folder / 'x.params'
    path.write_bytes(data)
    return read_params(path)


def dumps(folder, arrays, version):
    path = folder / 'y.params'
    write_params(path, arrays, version)
    return path.read_bytes()


@pytest.mark.real_data
def test_named_tensors_of_mxnet(parity, tmp_path):
    path = parity / 'sample_named.params'
    found = read_params(path)
    with np.load(parity / 'sample_expected.npz') as file:
        expected = {k.replace('__', ':', 1): file[k] for k in file}
    expected['arg:名前'] = expected.pop('arg:utf8')
    same(found, expected)
    assert dumps(tmp_path, found, 'v2') == path.read_bytes()


@pytest.mark.real_data
def test_unnamed_tensors_of_mxnet(parity, tmp_path):
    path = parity / 'sample_list.params'
    found = read_params(path)
    with np.load(parity / 'sample_expected.npz') as file:
        arrays = [file[k] for k in list(file)[:3]]
    same(found, {str(i): array for i, array in enumerate(arrays)})
    data = dumps(tmp_path, list(found.values()), 'v2')
    assert data == path.read_bytes()


@pytest.mark.real_data
def test_sparse_tensors_of_mxnet_are_refused(parity):
    with pytest.raises(
        ValueError, match='sample_sparse.params .* tensor 0 is sparse'
    ):
        read_params(parity / 'sample_sparse.params')


def test_numpy_shapes_of_mxnet(tmp_path):
    expected = dict(
        s=np.array(3.5, np.float32),
        e=np.zeros((2, 0, 3), np.int64),
        a=np.arange(6, dtype=np.int32).reshape(2, 3),
    )
    same(loads(tmp_path, OF_NUMPY_SHAPES), expected)
    assert dumps(tmp_path, expected, 'v3') == OF_NUMPY_SHAPES


@given(
    arrays=st.dictionaries(
        st.text(st.characters(exclude_categories=['Cs']), max_size=9),
        st.sampled_from(TYPES).flatmap(
            lambda kind: npst.arrays(
                kind, npst.array_shapes(min_dims=1, max_dims=6, min_side=0)
            )
        ),
        max_size=5,
    ),
    version=st.sampled_from(VERSIONS),
    is_named=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_what_is_written_is_read(tmp_path_factory, arrays, version, is_named):
    path = tmp_path_factory.getbasetemp() / 'round.params'
    if not is_named:
        arrays = {str(i): a for i, a in enumerate(arrays.values())}
    write_params(path, arrays if is_named else [*arrays.values()], version)
    same(read_params(str(path)), arrays)


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('kind', TYPES)
def test_every_type(tmp_path, kind, version):
    limits = np.finfo if kind[0] == 'f' else np.iinfo
    arrays = {
        'arg:ends': np.array([limits(kind).min, limits(kind).max], kind),
        'aux:ndim': np.ones((1,) * 31 + (2,), kind),
        'arg:None': np.zeros((3, 0), kind),
        'arg:odd': np.arange(3).astype(kind),
    }
    same(loads(tmp_path, dumps(tmp_path, arrays, version)), arrays)


@pytest.mark.parametrize('version', VERSIONS)
def test_tensors_without_dimensions(tmp_path, version):
    value = np.array(7, np.int8)
    arrays = {'a': np.ones(2), 'b': value, 'c': np.zeros(3, np.uint8)}
    found = loads(tmp_path, dumps(tmp_path, arrays, version))
    if version != 'v3':
        arrays['b'] = np.zeros(0, np.float32)
    same(found, arrays)


def small(folder, version, is_named=True):
    """A file of every kind of number, 300 to 500 bytes."""
    arrays = {
        'arg:a_weight': np.arange(6, dtype=np.float32).reshape(1, 2, 3),
        'aux:ä': np.ones(3, np.int8),
        'none': np.array(1.5),
        'empty': np.zeros((0, 2), np.int64),
        'arg:b': np.array([1.5, -2]),
    }
    return dumps(
        folder, arrays if is_named else list(arrays.values()), version
    )


def tensor(shape, kind=0, version=0xF993FAC9, storage=0):
    """The start of a file of one tensor, all but its values."""
    return struct.pack(
        f'<QQQIiI{len(shape)}qiii',
        *(0x112, 0, 1, version, storage, len(shape), *shape, 1, 0, kind),
    )


def names(*names):
    return struct.pack('<Q', len(names)) + b''.join(
        struct.pack('<Q', len(name)) + name for name in names
    )


START = struct.pack('<QQ', 0x112, 0)
TWO = START + struct.pack('<QII', 2, 0, 0)  # without values
WRONG = {
    b'': 'it is empty',
    b'<!DOCTYPE html><title>': 'MXNet start with .* Received: .*<!DOCTYPE h',
    b'\x12\x01': r"start with .*Received: b'\\x12\\x01'",
    struct.pack('<QQQQ', 0x112, 1, 0, 0): 'parameters of MXNet start with',
    START + b'\1': 'at byte 17, and the number of tensors would be 8 bytes '
    'from byte 16',
    START + struct.pack('<Q', 2**40): 'number of tensors must be 0 to 100000. '
    f'Received: {2**40}',
    START + bytes(16) + b'\0': '1 bytes follow its last name',
    TWO: 'at byte 32, and the number of names would be 8 bytes from byte 32',
    TWO + names(b'a'): '2 tensors have 1 names',
    TWO + names(b'a', b'b', b'c'): '2 tensors have 3 names',
    TWO + names(b'\xe4', b'b'): r"name of tensor 0 is not UTF.*b'\\xe4'",
    TWO + names(b'a', b'a'): "tensor 1 has a name that is taken, 'a'",
    TWO + names(b'a', b'b')[:-1]: 'byte 57, and the name of tensor 1 would '
    'be 1 bytes from byte 57',
    TWO + names(b'a', b'b')[:-2]: 'byte 56, and the length of the name of',
    START + struct.pack('<QI', 1, 33): 'tensor 0 must start with 0xf993fac8, '
    '.* dimensions, 0 to 32. Received: 0x21',
    tensor((1,) * 33): 'dimensions of tensor 0 must be 0 to 32. Received: 33',
    tensor((2,), storage=1): 'tensor 0 is sparse, and only dense',
    tensor((2,), storage=2): 'tensor 0 is sparse, and only dense',
    tensor((2,), storage=-1): 'storage type of .* be 0 to 2. Received: -1',
    tensor((2,), storage=3): 'storage type of .* be 0 to 2. Received: 3',
    tensor((2,), 7): r'tensor 0 \(float32, .*\) must be 0 to 6. Received: 7',
    tensor((2,), 12): r'type of tensor 0 \(.* 0 to 6. Received: 12',
    tensor((2,), -1): r'type of tensor 0 \(.* 0 to 6. Received: -1',
    tensor((2, -3)): r'shape of tensor 0 is impossible. Received: \(2, -3',
    tensor((-2, -3)): r'shape of tensor 0 is impossible. Received: \(-2, -3',
    tensor((2**62, 0, 2)): 'shape of tensor 0 is impossible',
    tensor((2**32, 2**32)): 'shape of tensor 0 is impossible',
    tensor((2**63 - 1,) * 32): 'shape of tensor 0 is impossible',
    tensor((2, 3), 6) + bytes(47): r'breaks off at byte 111, and tensor 0, '
    r'int64 \(2, 3\), would be 48 bytes from byte 64',
    tensor((2**40,)) + bytes(99): 'tensor 0, float32 .* 4398046511104 bytes',
    tensor(())[:-12] + b'\0': 'breaks off .* number of names would be 8',
    tensor((), version=0xF993FACA): 'tensor 0, float32 .* would be 4 bytes',
}


@pytest.mark.parametrize('data', WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_told(tmp_path, data):
    with pytest.raises(ValueError) as caught:
        loads(tmp_path, data)
    start = f'{tmp_path}/x.params cannot be read: '
    assert caught.match(WRONG[data])
    assert str(caught.value).startswith(start)


def test_a_tensor_is_named_by_its_place(tmp_path):
    data = bytearray(small(tmp_path, 'v2'))
    at = data.index(struct.pack('<i', TYPES.index('int8')) + bytes([1] * 3))
    data[at] = 7
    with pytest.raises(ValueError, match='the type of tensor 1 .*eceived: 7'):
        loads(tmp_path, data)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.params'):
        read_params(tmp_path / 'none.params')


def test_folder(tmp_path):
    with pytest.raises(OSError, match=str(tmp_path)):
        read_params(tmp_path)


def test_file_that_is_cut_while_it_is_read(tmp_path, monkeypatch):
    data = tensor((2, 3)) + bytes(11)
    stat = os.stat_result([0] * 6 + [len(data) + 99] + [0] * 3)
    monkeypatch.setattr(os, 'fstat', lambda _: stat)
    with pytest.raises(ValueError, match='cut at tensor 0, float32 .* while'):
        loads(tmp_path, data)


def memory(folder, data):
    """What was read or None, and how many bytes that took."""
    return read_and_measure(read_params, folder / 'x.params', data)


@pytest.mark.parametrize('is_named', [True, False])
@pytest.mark.parametrize('version', VERSIONS)
def test_file_that_breaks_off(tmp_path, version, is_named):
    data = small(tmp_path, version, is_named)
    assert len(memory(tmp_path, data)[0]) == 5
    for length in range(len(data)):
        assert memory(tmp_path, data[:length])[0] is None
    assert memory(tmp_path, data + b'\0')[0] is None


@pytest.mark.parametrize('version', VERSIONS)
def test_file_with_a_huge_number(tmp_path, version):
    data = small(tmp_path, version)
    for place in range(len(data)):
        for number in HUGE:
            rest = data[place + len(number) :]
            memory(tmp_path, data[:place] + number + rest)


@given(
    version=st.sampled_from(VERSIONS),
    is_named=st.booleans(),
    variants=st.lists(
        st.lists(
            st.tuples(
                st.integers(0, 600),
                st.integers(0, 9) | st.just(0),  # bytes that are taken out
                st.binary(max_size=9)
                | st.sampled_from(HUGE)
                | st.integers(-1, 33).map(lambda n: struct.pack('<i', n))
                | st.integers(-1, 9).map(lambda n: struct.pack('<q', n)),
            ),
            min_size=1,
            max_size=4,
        ),
        min_size=10,
        max_size=20,
    ),
)
@settings(max_examples=100, deadline=None)
def test_file_with_wrong_bytes(tmp_path_factory, version, is_named, variants):
    folder = tmp_path_factory.getbasetemp()
    data = small(folder, version, is_named)
    for changes in variants:
        wrong = data
        for place, gone, new in changes:
            place %= len(data)
            wrong = wrong[:place] + new + wrong[place + gone :]
        memory(folder, wrong)


@pytest.mark.parametrize('count', [2**17, 2**40, 2**63, 2**64 - 1])
def test_counts_that_ask_for_much_memory(tmp_path, count):
    rest = struct.pack('<Q', count) + bytes(1000)
    for start in (START, TWO, TWO + names(b'a', b'b')[:-9]):
        found, peak = memory(tmp_path, start + rest)
        assert found is None and peak < 50_000


def test_no_more_tensors_than_a_network_has(tmp_path):
    """Arrays of four bytes in the file would take a hundred each."""
    many, more = (
        START + struct.pack('<Q', n) + bytes(4 * n + 8)
        for n in (100_000, 100_001)
    )
    assert len(loads(tmp_path, many)) == 100_000
    with pytest.raises(ValueError, match='0 to 100000. Received: 100001'):
        loads(tmp_path, more)


@pytest.mark.parametrize('shape', [(2**40,), (2**20,) * 3, (2**31, 2)])
def test_shapes_that_ask_for_much_memory(tmp_path, shape):
    assert math.prod(shape) > 10**9
    data = tensor(shape) + bytes(1_000_000)
    assert memory(tmp_path, data)[1] < 50_000


def test_only_one_copy_is_held(tmp_path):
    arrays = {f'arg:{i}': np.full(2**18, i, np.float32) for i in range(8)}
    data = dumps(tmp_path, arrays, 'v2')
    found, peak = memory(tmp_path, data)
    same(found, arrays)
    assert peak < len(data) + 200_000
