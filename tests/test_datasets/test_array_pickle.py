"""Pickles of arrays, of all ages, and those that hold something else."""

import contextlib
import os
import pickle
import resource
import signal
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.fileio import dump
from mmengine.structures import InstanceData

from sniper_mmdet.datasets.formats.array_pickle import load_arrays


def loads(folder, data):
    path = folder / 'arrays.pkl'
    path.write_bytes(data)
    return load_arrays(path)


def python2_array(array, order):
    """Opcodes for an array (N, 5), as Python 2.7 with NumPy 1.16 has them."""
    data = array.tobytes(order)
    return (
        b'cnumpy.core.multiarray\n_reconstruct\n'
        b'cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01'
        + struct.pack('<cicB', b'J', len(array), b'K', 5)
        + b'\x86cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R'
        b'(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb'
        + (b'\x88' if order == 'F' else b'\x89')
        + struct.pack('<ci', b'T', len(data))
        + data
        + b'tb'
    )


def test_list_of_arrays_from_python_2(tmp_path):
    rng = np.random.default_rng(0)
    arrays = [
        np.frombuffer(rng.bytes(20 * n), np.float32).reshape(n, 5)
        for n in (300, 0, 1, 7)
    ]
    opcodes = [
        python2_array(array, 'FC'[i % 2]) for i, array in enumerate(arrays)
    ]
    found = loads(tmp_path, b'\x80\x02](' + b''.join(opcodes) + b'e.')
    assert isinstance(found, list) and len(found) == 4
    for a, b in zip(found, arrays, strict=True):
        assert a.dtype == np.float32 and a.shape == b.shape
        assert a.tobytes() == b.tobytes()


def samples():
    rng = np.random.default_rng(0)
    boxes = rng.uniform(0, 99, (6, 5))
    return {
        'whole': boxes.astype(np.float32),
        'by columns': np.asfortranarray(boxes),
        'part': boxes[::2, 1:3],
        'ints': np.arange(300).reshape(3, 100),
        'big-endian': boxes.astype('>f8'),
        'scalar': np.array(3.5),
        'bools': np.eye(3, dtype=bool),
        'bytes': np.arange(256, dtype=np.uint8),
        'twice': [boxes, (boxes, [boxes])],
        'list': [boxes[0], [1, 2.5, None, True, (b'\xff', 'ö')], {3}],
        'named': {'ä': {7: (boxes,)}},
    }


def same(a, b):
    if isinstance(b, (list, tuple)):
        assert type(a) is type(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(b, np.ndarray):
        assert a.dtype.newbyteorder('=') == b.dtype.newbyteorder('=')
        assert a.shape == b.shape
        assert a.tolist() == b.tolist()
    elif isinstance(b, dict):
        assert list(a) == list(b)
        same(list(a.values()), list(b.values()))
    else:
        assert type(a) is type(b) and a == b


@pytest.mark.parametrize('numpy_name', [b'numpy.core', b'numpy._core'])
@pytest.mark.parametrize('protocol', range(6))
def test_arrays_of_all_protocols(tmp_path, protocol, numpy_name):
    for value in samples().values():
        data = pickle.dumps(value, protocol)
        if protocol < 4:  # later ones tell the length of a name
            for name in (b'numpy._core', b'numpy.core'):
                data = data.replace(name, numpy_name)
        same(loads(tmp_path, data), value)


@pytest.mark.parametrize('protocol', range(6))
def test_arrays_without_an_entry(tmp_path, protocol):
    value = [np.zeros((0, 5), np.float32), np.zeros((2, 0)), b'']
    same(loads(tmp_path, pickle.dumps(value, protocol)), value)


def detections(count):
    boxes = np.random.default_rng(0).uniform(0, 99, (count, 5))
    return InstanceData(bboxes=boxes[:, :4], scores=boxes[:, 4])


@pytest.mark.parametrize('count', [3, 0])
def test_instances_of_mmengine(tmp_path, count):
    value = {'a/1.jpg': detections(count), 'a/2.jpg': detections(5)}
    path = tmp_path / 'a.pkl'
    dump(value, path)  # as DumpProposals does
    for data in (path.read_bytes(), pickle.dumps(value)):
        found = loads(tmp_path, data)
        assert list(found) == list(value)
        for name, fields in found.items():
            assert not isinstance(fields, InstanceData)
            same(fields.bboxes, value[name].bboxes)
            same(fields.scores, value[name].scores)


class Call:
    """Calls a function when it is unpickled."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


CALLS = {
    r'\w+\.system': lambda path: Call(os.system, f'touch {path}'),
    r'\w+\.eval': lambda path: Call(eval, f'open({path!r}, "w")'),
    r'\w+\.exec': lambda path: Call(exec, f'open({path!r}, "w")'),
    'numpy.memmap': lambda path: Call(np.memmap, path, 'u1', 'w+', 0, 9),
}
PLACES = {
    'alone': lambda call: call,
    'nested': lambda call: [np.ones((2, 5)), {'a': ({'b': call},)}],
    'state': lambda call: {'a/1.jpg': InstanceData(bboxes=[call])},
}


@pytest.mark.parametrize('protocol', [2, 4])
@pytest.mark.parametrize('place', PLACES)
@pytest.mark.parametrize('name', CALLS)
def test_what_could_run_code_is_refused(tmp_path, name, place, protocol):
    made = tmp_path / 'made'
    value = PLACES[place](CALLS[name](str(made)))
    data = pickle.dumps(value, protocol)
    with pytest.raises(ValueError, match=f'arrays.pkl .* it holds {name}'):
        loads(tmp_path, data)
    assert not made.exists()
    pickle.loads(data)
    assert made.exists()


@pytest.mark.parametrize('protocol', [2, 5])
def test_arrays_of_other_things_are_refused(tmp_path, protocol):
    made = tmp_path / 'made'
    call = Call(os.system, f'touch {made}')
    for value in (
        np.array([[1, None], [call, 'a']], object),
        np.zeros(2, [('a', np.int32), ('b', object)]),
        np.array(['a', 'ä']),
        np.array('2020-01-01', 'M8[D]'),
    ):
        with pytest.raises(ValueError, match='arrays.pkl .* an array of'):
            loads(tmp_path, pickle.dumps([value], protocol))
    assert not made.exists()


@pytest.mark.parametrize(
    'data',
    [
        b'\x80\x04\x8c\x05numpy\x8c\x0fndarray.tofile\x93.',
        b'\x80\x04\x8c\x08builtins\x8c\x0bset.__new__\x93.',
        b'(S"true"\nios\nsystem\n.',  # as Python 2 makes instances
        b'Pname\n.',  # kept elsewhere
        b'\x80\x02\x82\x01.',  # by a registered number
        b'\x80\x05N\x97.',  # kept out of the pickle
        b'',
        b'.',
        b'cnumpy.core.multiarray\n_reconstruct\n)R.',  # without its data
        b'x1,y1,x2,y2\n',
    ],
)
def test_what_is_no_pickle_of_arrays_is_refused(tmp_path, data):
    with pytest.raises(ValueError, match='arrays.pkl is not a pickle of arr'):
        loads(tmp_path, data)


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.pkl'):
        load_arrays(tmp_path / 'none.pkl')


def pickles():
    """Those that are damaged, by protocol; of protocol 2 as mmdet's."""
    array = np.arange(10, dtype=np.float32).reshape(2, 5)
    return [
        b'\x80\x02](' + python2_array(array, 'C') + b'e.',
        *(pickle.dumps([array, 'ä', 2.5], n) for n in range(6)),
        pickle.dumps({'a/1.jpg': detections(2)}, 2),
    ]


@pytest.mark.parametrize('kind', range(8))
def test_pickle_that_breaks_off(tmp_path, kind):
    data = pickles()[kind]
    loads(tmp_path, data)
    for length in range(len(data)):
        with pytest.raises(ValueError, match='arrays.pkl is not a pickle'):
            loads(tmp_path, data[:length])


def exit_code(folder, *pickles):
    """What becomes of a process of 3 GB and a minute that reads them.

    0 for values and ValueErrors, 1 for another error, 2 for a value that took
    200 MB, negative if it crashed.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    signal.alarm(60)
    try:
        pages = int(Path('/proc/self/statm').read_text().split()[0])
        limit = pages * resource.getpagesize() + 3 * 2**30
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for data in pickles:
            with contextlib.suppress(ValueError):
                repr(loads(folder, data))
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        code = 2 if after - before > 200_000 else 0
    finally:
        os._exit(code)


forks = pytest.mark.skipif(
    not Path('/proc/self/statm').exists(), reason='needs Linux'
)


@forks
@given(
    data=st.sampled_from(pickles()),
    changes=st.lists(
        st.lists(
            st.tuples(st.integers(0, 700), st.integers(0, 255)),
            min_size=1,
            max_size=4,
        ),
        min_size=10,
        max_size=30,
    ),
)
@settings(max_examples=40, deadline=None)
def test_pickle_with_wrong_bytes(tmp_path_factory, data, changes):
    wrong = [bytearray(data) for _ in changes]
    for copy, flips in zip(wrong, changes, strict=True):
        for place, byte in flips:
            copy[place % len(data)] = byte
    assert exit_code(tmp_path_factory.getbasetemp(), *wrong) == 0


def opcodes(value):
    return pickle.dumps(value, 3)[2:-1]


def array_with(state, shape=(1,), content=b'', dtype='V8'):
    """An array of a type with this state, told by opcodes."""
    return (
        b'\x80\x03cnumpy.core.multiarray\n_reconstruct\n)R(K\x01'
        + opcodes(shape)
        + b'cnumpy\ndtype\n'
        + opcodes((dtype, False, True))
        + b'R'
        + state
        + b'b\x89'
        + opcodes(content)
        + b'tb.'
    )


def field(name, offset):
    """State of a type of eight bytes with one field."""
    return (
        b'(K\x03U\x01|NU\x01a\x85}U\x01acnumpy\ndtype\n'
        + opcodes((name, False, True))
        + b'R'
        + opcodes(offset)
        + b'\x86sK\x08K\x01K\x00t'
    )


@forks
@pytest.mark.parametrize(
    'data',
    [
        array_with(opcodes((3, '<', None, -1, -1, 0)), dtype='f4'),
        array_with(field('i8', 1 << 30), content=bytes(8)),  # outside
        array_with(field('O', 0), content=b'abcdefgh'),  # where none is
    ],
)
def test_types_that_numpy_would_not_write(tmp_path, data):
    assert exit_code(tmp_path, data) == 0


@forks
@pytest.mark.parametrize(
    'data',
    [
        b'Nr\x00\x00\x00\x03.',  # the 50 millionth thing to remember
        b'\x80\x04\x8e' + struct.pack('<q', 1 << 40) + b'.',
        b'\x80\x05\x96' + struct.pack('<q', 1 << 31) + b'.',
        array_with(opcodes((3, '|', *[None] * 3, 8, 1, 0)), (1 << 40,)),
        b'cnumpy.core.multiarray\n_reconstruct\n'
        b'cnumpy\nndarray\n(I2000000000\ntX\x01\x00\x00\x00b\x87R.',
    ],
)
def test_few_bytes_that_ask_for_much_memory(tmp_path, data):
    assert exit_code(tmp_path, data) == 0


@pytest.mark.parametrize('kind', [list, tuple])
def test_what_is_held_twice_is_read_once(tmp_path, kind):
    """Or 100 bytes, each level twice the one below, would take minutes."""
    value = np.ones(2)
    for _ in range(9):
        value = kind([value, value])
    found = loads(tmp_path, pickle.dumps(value))
    for _ in range(9):
        assert found[0] is found[1]
        found = found[0]
    same(found, np.ones(2))


def test_no_class_is_changed_for_good(tmp_path):
    path = tmp_path / 'arrays.pkl'
    path.write_bytes(
        b'\x80\x02cmmengine.structures.instance_data\nInstanceData\n'
        b'N}U\x06bboxesK\x01s\x86b.'
    )
    with pytest.raises(ValueError, match='has a state for a stateless'):
        load_arrays(str(path))
    path.write_bytes(pickle.dumps({'a': InstanceData()}, 2))
    assert not hasattr(load_arrays(str(path))['a'], 'bboxes')
