"""Weights of Caffe: both formats, and all kinds of damaged files."""

import os
import struct

import numpy as np
import pytest
from caffe_files import (
    blob,
    field,
    layer,
    old_blob,
    old_layer,
    varint,
    write_caffemodel,
)
from damaged_files import read_and_measure
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from sniper_mmdet.released.caffemodel import read_caffemodel

WEIGHT = np.arange(6, dtype=np.float32).reshape(1, 2, 3, 1)
BIAS = np.float32([1.5, -2])
HUGE = [varint(2**n - 1) for n in (7, 21, 32, 63, 64)]
HUGE += [b'\xff' * n for n in (4, 9, 10, 11)]


def loads(folder, data):
    path = folder / 'x.caffemodel'
    path.write_bytes(data)
    return read_caffemodel(path)


def same(found, expected):
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()
        assert found[name].flags.writeable


@given(
    arrays=st.dictionaries(
        st.text(st.characters(exclude_categories=['Cs']), min_size=1),
        st.lists(
            st.sampled_from([np.float32, np.float64]).flatmap(
                lambda kind: npst.arrays(
                    kind, npst.array_shapes(min_dims=1, max_dims=6)
                )
            ),
            max_size=3,
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=100, deadline=None)
def test_what_is_written_is_read(tmp_path_factory, arrays):
    path = tmp_path_factory.getbasetemp() / 'round.caffemodel'
    arrays = {
        f'{name}.{index}': array
        for name, of_layer in arrays.items()
        for index, array in enumerate(of_layer)
    }
    if arrays:
        write_caffemodel(path, arrays)
        same(read_caffemodel(str(path)), arrays)


def test_old_format(tmp_path):
    net = old_layer('conv', old_blob(WEIGHT), old_blob(BIAS))
    found = loads(tmp_path, field(1, 'net') + net)
    same(found, {'conv.0': WEIGHT, 'conv.1': BIAS.reshape(1, 1, 1, 2)})


def test_the_last_of_one_name_counts(tmp_path):
    """As in Caffe; it stays where the first was."""
    net = layer('a', blob(WEIGHT)) + layer('b', blob(BIAS))
    net += layer('a', blob(WEIGHT + 1), blob(BIAS)) + layer('a', kind='Split')
    expected = {'a.0': WEIGHT + 1, 'a.1': BIAS, 'b.0': BIAS}
    same(loads(tmp_path, net), expected)


def test_numbers_that_are_not_packed(tmp_path):
    one_by_one = b''.join(field(5, float(x)) for x in BIAS)
    sides = field(7, field(1, 2) + field(1, 1))
    doubles = varint(8 << 3 | 1) + struct.pack('<d', 0.1)
    net = layer('a', one_by_one + sides, one_by_one, doubles)
    net += layer('b', field(5, BIAS[:1].tobytes()) + field(5, BIAS.tobytes()))
    found = loads(tmp_path, net)
    assert found['a.2'].shape == () and found['a.2'] == 0.1
    same(
        {k: v for k, v in found.items() if k != 'a.2'},
        {
            'a.0': BIAS.reshape(2, 1),
            'a.1': BIAS,
            'b.0': np.float32([1.5, 1.5, -2]),
        },
    )


def test_not_a_number_is_read_as_it_is(tmp_path):
    """The converter refuses it, with the tensor's name."""
    wrong = np.float32([np.nan, np.inf])
    assert loads(tmp_path, layer('a', blob(wrong)))['a.0'].tobytes() == (
        wrong.tobytes()
    )


SIDES = field(7, field(1, b'\2\3'))
WRONG = {
    b'': 'it is empty',
    field(1, 'net'): 'has layers with weights, and none was found',
    layer('a'): 'has layers with weights, and none was found',
    b'<!DOCTYPE html>': 'a field 7 of kind 4, which the net has before byte 1',
    b'\0': 'a field 0 of kind 0, which the net has before byte 1',
    field(1, 'net')[:-1]: 'it breaks off at byte 4, the end of the net, and '
    'a field would be 3 bytes from byte 2',
    b'\xff' * 11: 'a field of the net is a number of more than 10 bytes, '
    'before byte 10',
    b'\xa2': 'it breaks off at byte 1, in a field of the net',
    layer('', blob(BIAS)): 'layer 0 has blobs and no name',
    layer('a', b''): 'blob 0 of layer 0 has no values',
    layer('a', SIDES): 'blob 0 of layer 0 has no values',
    layer('a', blob(BIAS) + SIDES): r'has 2 values, and its shape is \[2, 3\]',
    layer('a', field(5, b'\0' * 5)): 'blob 0 of layer 0 are 5 bytes, which',
    layer('a', varint(5 << 3 | 1) + bytes(8)): 'are of kind 1, as no numbers',
    layer('a', blob(np.ones((1,) * 33))): 'shape of blob 0 .* more than 32 si',
    field(100, field(1, b'\xe4')): r"its name, in layer 0, is not UTF-8.*xe4'",
    field(100, varint(7 << 3 | 2) + varint(2**40)): 'the end of layer 0, and '
    f'blob 0 of layer 0 would be {2**40} bytes',
}


@pytest.mark.parametrize('data', WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_told(tmp_path, data):
    with pytest.raises(ValueError) as caught:
        loads(tmp_path, data)
    assert caught.match(WRONG[data])
    start = f'{tmp_path}/x.caffemodel cannot be read: '
    assert str(caught.value).startswith(start)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.caffemodel'):
        read_caffemodel(tmp_path / 'none.caffemodel')


def test_file_that_is_cut_while_it_is_read(tmp_path, monkeypatch):
    data = layer('a', blob(BIAS))
    stat = os.stat_result([0] * 6 + [len(data)] + [0] * 3)
    monkeypatch.setattr(os, 'fstat', lambda _: stat)
    with pytest.raises(ValueError, match='was cut at .* while it was read'):
        loads(tmp_path, data[:-9])


def small():
    """A file of both formats and of every kind of field."""
    extra = varint(99 << 3 | 1) + bytes(8) + varint(98 << 3 | 5) + bytes(4)
    one_by_one = b''.join(field(5, float(x)) for x in BIAS)
    net = field(1, 'net') + extra + layer('input', kind='Input')
    net += layer('ä', blob(WEIGHT) + extra, one_by_one, blob(np.ones(3)))
    return net + old_layer('old', old_blob(WEIGHT), old_blob(BIAS))


def memory(folder, data):
    """What was read or None, and how many bytes that took."""
    return read_and_measure(read_caffemodel, folder / 'x.caffemodel', data)


def test_file_that_breaks_off(tmp_path):
    data = small()
    whole = memory(tmp_path, data)[0]
    assert len(whole) == 5
    for length in range(len(data)):
        found = memory(tmp_path, data[:length])[0]
        # What ends with a layer or between fields of the net is a file too.
        if found is not None:
            same(found, {name: whole[name] for name in list(found)})
            assert len(found) == 3
    cut = sum(
        memory(tmp_path, data[:n])[0] is not None for n in range(len(data))
    )
    assert cut == 1


def test_file_with_a_huge_number(tmp_path):
    data = small()
    for place in range(len(data)):
        for number in HUGE:
            rest = data[place + len(number) :]
            memory(tmp_path, data[:place] + number + rest)
            memory(tmp_path, data[:place] + number + data[place + 1 :])


@given(
    variants=st.lists(
        st.lists(
            st.tuples(
                st.integers(0, 400),
                st.integers(0, 9),  # bytes that are taken out
                st.binary(max_size=9) | st.sampled_from(HUGE),
            ),
            min_size=1,
            max_size=4,
        ),
        min_size=10,
        max_size=20,
    )
)
@settings(max_examples=60, deadline=None)
def test_file_with_wrong_bytes(tmp_path_factory, variants):
    data = small()
    for changes in variants:
        wrong = data
        for place, gone, new in changes:
            place %= len(data)
            wrong = wrong[:place] + new + wrong[place + gone :]
        memory(tmp_path_factory.getbasetemp(), wrong)


@pytest.mark.parametrize('count', [2**31, 2**40, 2**63, 2**64 - 1])
def test_lengths_that_ask_for_much_memory(tmp_path, count):
    for number in (1, 2, 100):
        net = varint(number << 3 | 2) + varint(count) + bytes(1000)
        found, peak = memory(tmp_path, net)
        assert found is None and peak < 50_000
    sides = field(7, field(1, varint(count)))
    wrong = layer('a', field(5, bytes(1_000_000)) + sides)
    assert memory(tmp_path, wrong)[0] is None


def test_many_small_parts_take_no_memory(tmp_path):
    one_by_one = b''.join(field(5, 1.0) for _ in range(50_000))
    found, _ = memory(tmp_path, layer('a', one_by_one))
    assert found['a.0'].shape == (50_000,)
    with pytest.raises(ValueError, match='more than 100000 layers or tens'):
        loads(tmp_path, field(100, b'') * 100_001)
    with pytest.raises(ValueError, match='blob 0 of layer 0 has no values'):
        loads(tmp_path, layer('a', *[b''] * 1000))
