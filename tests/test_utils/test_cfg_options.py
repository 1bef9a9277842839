"""``--cfg-options``: what MMEngine would spoil is an error."""

import sys

import pytest

from sniper_mmdet.utils import cli


@pytest.fixture
def parse(monkeypatch):
    def run(*given):
        monkeypatch.setattr(sys, 'argv', ['x', '--cfg-options', *given])
        return cli.parse(cli.make_parser('', cli.add_cfg_options)).cfg_options

    return run


def test_what_mmengine_takes(parse):
    assert parse(
        'a.b=1',
        'c=[(1, 2), [x, y]]',
        'd=x, y',
        'e=work_dirs/lr=0.02',
        'f= 0.5 ',
        "g='text'",
        'h=epoch_{:03d}.pth',
        'i=None',
        'j=',
    ) == {
        'a.b': 1,
        'c': [(1, 2), ['x', 'y']],
        'd': ['x', 'y'],
        'e': 'work_dirs/lr=0.02',
        'f': 0.5,
        'g': 'text',
        'h': 'epoch_{:03d}.pth',
        'i': None,
        'j': '',
    }


@pytest.mark.parametrize(
    'given, rule',
    [
        ("hooks=[{'type': 'A', 'at': (1, 2)}]", 'cannot hold a dict: name'),
        ("hooks=[{'type':'A'},{'type':'B'}]", 'cannot hold a dict: name'),
        ('a={"b":1}', 'cannot hold a dict: name'),
        ('a=dict(b=1,c=2)', 'cannot hold a dict: name'),
        ('a={b:(1,2)}', 'brackets are in pairs'),
        ('a=f(1,2)', 'brackets are in pairs'),
        ('a=[(1,2]', 'brackets are in pairs'),
        ('a=((1,2)', 'brackets are in pairs'),
        ('work_dir=my runs/neg', 'removes the spaces from a value'),
        ('files=[my runs/a.json,b.json]', 'removes the spaces from a value'),
        ('a="my runs"', 'removes the spaces from a value'),
        ('runs/neg', 'each must be key=value'),
        ('=3', 'each must be key=value'),
    ],
)
def test_what_it_would_spoil(parse, capsys, given, rule):
    with pytest.raises(SystemExit):
        parse('x.y=1', given)
    last = capsys.readouterr().err.splitlines()[-1]
    assert f'error: --cfg-options: {rule}' in last or rule in last
    assert last.endswith(f'Received: {given}.')
