"""tools/download_weights.py, from a server that has its days."""

import gzip
import io
import json
import os
import re
import runpy
import shlex
import shutil
import ssl
import subprocess
import sys
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mxnet_files import write_params
from released import OUTPUTS
from runs import TOOLS, free_port
from tiny import ROOT

from sniper_mmdet.released import archives, conversion, download
from sniper_mmdet.released.sniper import CONFIGS, config_of
from sniper_mmdet.released.weights import Conversion
from sniper_mmdet.utils.files import claimed

CONVERTER = 'tools/model_converters/mxnet_to_mmdet.py'


def tar_gz(members):
    """An archive of files, or of TarInfos, by name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w:gz', compresslevel=1) as tar:
        for name, content in members.items():
            info = content
            if isinstance(content, bytes):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                content = io.BytesIO(content)
            tar.addfile(info, content)
    return buffer.getvalue()


# Two pieces and a half, which do not compress.
CONTENT = np.random.default_rng(0).bytes(160_000)
ARCHIVE = tar_gz({'output/a/b.bin': CONTENT})
TAG = '"of this very file"'


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        server = self.server
        asked = self.headers.get('Range')
        server.asked.append(asked)
        if self.path == '/moved':
            self.answer(302, {'Location': server.location})
            return
        body, headers, status = server.body, dict(server.headers), 200
        same = self.headers.get('If-Range') in (
            None,
            server.headers.get('ETag'),
        )
        if asked and server.ranges and (same or server.ignores):
            start = int(re.fullmatch(r'bytes=(\d+)-', asked)[1])
            total = len(body)
            if start >= total:
                self.answer(416, {'Content-Range': f'bytes */{total}'})
                return
            start += server.shift
            span = server.span or f'bytes {start}-{total - 1}/{total}'
            headers['Content-Range'] = span
            body, status = body[start:], 206
        cut = server.cuts.pop(0) if server.cuts else None
        self.answer(server.status or status, headers, body, cut)

    def answer(self, status, headers, body=b'', cut=None):
        self.close_connection = True
        self.send_response(status)
        for item in headers.items():
            self.send_header(*item)
        if 'Transfer-Encoding' not in headers:
            self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if 'Transfer-Encoding' in headers:
            body = b'%x\r\n%s\r\n0\r\n\r\n' % (len(body), body)
        self.wfile.write(body[:cut])
        if cut is not None:
            self.wfile.flush()
            time.sleep(self.server.hangs)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    """Serves an archive at any address, and misbehaves as it is told."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.body, server.status = ARCHIVE, None
    server.headers, server.ignores = {'ETag': TAG}, False
    server.ranges, server.shift, server.cuts, server.hangs = True, 0, [], 0
    server.asked, server.span, server.location = [], None, '/elsewhere'
    server.url = f'http://127.0.0.1:{server.server_port}/file'
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder to stand in."""
    monkeypatch.setenv('no_proxy', '*')
    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(server, monkeypatch):
    def run(what='detectors', *args):
        line = ['download_weights.py', what, '--url', server.url, *args]
        monkeypatch.setattr(sys, 'argv', line)
        tool = str(TOOLS / 'download_weights.py')
        return runpy.run_path(tool, run_name='__main__')

    return run


@pytest.fixture
def fetch(run):
    return lambda *args: run('detectors', '--no-convert', *args)


def error_of(fetch, *args):
    with pytest.raises(SystemExit) as caught:
        fetch(*args)
    assert isinstance(caught.value.code, str)
    return caught.value.code


def part(server, content, **changes):
    """What an earlier call left, with the note of what it is of."""
    Path('sniper_models.tar.gz.part').write_bytes(content)
    note = dict(url=server.url, tag=TAG) | changes
    Path('sniper_models.tar.gz.part.json').write_text(json.dumps(note))


def check():
    """That the archive is whole, and unpacked."""
    assert Path('sniper_models.tar.gz').read_bytes() == ARCHIVE
    assert Path('output/a/b.bin').read_bytes() == CONTENT
    assert not list(Path().glob('*.part*'))


def test_what_is_there_is_not_fetched_again(fetch, server, capsys):
    fetch()
    check()
    assert server.asked == [None]
    out = capsys.readouterr().out
    (digest,) = re.findall(r'SHA-256 ([0-9a-f]{64})\n', out)
    fetch('--sha256', digest.upper())
    assert server.asked == [None]


@pytest.mark.parametrize(
    'told, asked',
    [
        ({}, ['bytes=70000-']),
        (dict(ranges=False), ['bytes=70000-']),
        (dict(shift=5), ['bytes=70000-', None]),
        (dict(span='pages 1-2'), ['bytes=70000-', None]),
    ],
    ids=['range', 'no range', 'another range', 'unknown range'],
)
def test_goes_on_where_it_was_cut_off(fetch, server, told, asked):
    vars(server).update(told)
    part(server, ARCHIVE[:70000])
    fetch()
    check()
    assert server.asked == asked


@pytest.mark.parametrize(
    'told, kept',
    [
        (dict(), dict(tag='"of an older file"')),
        (dict(ignores=True), dict(tag='"of an older file"')),
        (dict(headers={}), dict(tag='')),
        (dict(headers={'ETag': f'W/{TAG}'}), dict(tag='')),
        (dict(), dict(url='http://127.0.0.1/another')),
        (dict(), None),
    ],
    ids=['changed', 'told nothing', 'no tag', 'weak tag', 'link', 'no note'],
)
def test_starts_anew_where_it_may_be_another_file(fetch, server, told, kept):
    vars(server).update(told)
    part(server, b'of another file' * 1000, **(kept or {}))
    if kept is None:
        Path('sniper_models.tar.gz.part.json').unlink()
    fetch()
    check()


def test_the_server_is_asked_whether_it_is_the_same_file(fetch, server):
    part(server, ARCHIVE[:500], tag='"of an older file"')
    fetch()
    check()
    assert server.asked == ['bytes=500-']  # answered with all of the file


def test_goes_on_by_the_date_where_there_is_no_tag(fetch, server):
    date = 'Sat, 28 Nov 2020 00:00:00 GMT'
    server.headers = {'Last-Modified': date}
    server.cuts, server.ignores = [70_000], True
    fetch()
    check()
    assert server.asked == [None, 'bytes=70000-']


def test_goes_on_where_all_had_come(fetch, server):
    part(server, ARCHIVE)
    fetch()
    check()
    assert server.asked == [f'bytes={len(ARCHIVE)}-']


def test_starts_anew_where_the_file_became_shorter(fetch, server):
    part(server, ARCHIVE + b'more')
    fetch()
    check()
    assert server.asked == [f'bytes={len(ARCHIVE) + 4}-', None]


@pytest.mark.parametrize('chunked', [False, True])
def test_a_connection_that_breaks_is_taken_up_again(fetch, server, chunked):
    if chunked:
        server.headers['Transfer-Encoding'] = 'chunked'
    server.cuts = [0, 100_000, 10, 40_000]
    fetch()
    check()
    assert len(server.asked) == 5
    if not chunked:
        asked = [
            None,
            None,
            *(f'bytes={n}-' for n in (100000, 100010, 140010)),
        ]
        assert server.asked == asked


def test_a_connection_that_always_breaks(fetch, server):
    server.cuts = [20_000] * 5
    error = error_of(fetch)
    assert 'broke 5 times: 0.1 MB are kept in sniper_models.tar.gz.part' in (
        error
    )
    assert not Path('sniper_models.tar.gz').exists()
    fetch()
    check()
    assert server.asked[5:] == ['bytes=100000-']


def test_a_server_that_falls_silent(fetch, server, monkeypatch):
    monkeypatch.setattr(download, '_TIMEOUT', 0.2)
    server.cuts, server.hangs = [70_000], 1
    fetch()
    check()
    assert server.asked == [None, 'bytes=65536-']


def test_another_digest(fetch, server):
    error = error_of(fetch, '--sha256', 'a' * 64)
    assert f'must have the SHA-256 {"a" * 64}. Received: ' in error
    assert not Path('output').exists()


@pytest.mark.parametrize('kept', [b'', ARCHIVE[:70000]])
def test_a_page_instead_of_the_archive(fetch, server, kept):
    if kept:
        part(server, kept)
    server.body, server.ranges = b'<!DOCTYPE html>' * 100, False
    server.headers['Content-Type'] = 'text/html; charset=utf-8'
    server.url = server.url.replace('file', 'moved')
    final = server.url.replace('moved', 'elsewhere')
    error = error_of(fetch)
    assert f'{server.url} gave a web page (text/html), not' in error
    assert f'Open {final} in a browser, save the archive as sniper_' in error
    # What is kept is not lost to a page.
    left = [path.read_bytes() for path in Path().glob('*.part')]
    assert left == ([kept] if kept else [])


@pytest.mark.parametrize('body', [b'', b'PK\x03\x04 and so on'])
def test_something_else_instead_of_the_archive(fetch, server, body):
    server.body = body
    assert 'gave something (text/plain), not an archive' in error_of(fetch)


def test_no_such_page(fetch, server):
    server.status = 404
    assert error_of(fetch) == (
        f'download_weights: {server.url} answered 404 Not Found. Download it '
        'elsewhere, put it at sniper_models.tar.gz and run this again.'
    )
    server.url = server.url.replace('file', 'moved')
    final = server.url.replace('moved', 'elsewhere')
    error = error_of(fetch)
    assert f'{server.url} leads to {final}, which answered 404' in error


def test_no_network(fetch, server, here):
    server.url = f'http://127.0.0.1:{free_port()}/file'
    path = here / 'new/sniper_models.tar.gz'
    error = error_of(fetch, '--dest', str(path.parent))
    assert re.fullmatch(
        rf'download_weights: No network: {server.url} could not be reached '
        r'\(.*refused.*\)\. Download it elsewhere, put it at '
        rf'{path} and run this again\.',
        error,
    )
    part(server, ARCHIVE[:50000])
    kept = ' 0.1 MB are kept in sniper_models.tar.gz.part.'
    assert error_of(fetch).endswith(kept)
    # As it was told.
    path.write_bytes(ARCHIVE)
    fetch('--dest', str(path.parent))
    assert (path.parent / 'output/a/b.bin').read_bytes() == CONTENT


def special(kind, name='output/x', link=''):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    'name, content, reason',
    [
        ('/{}/out', b'x', 'would be written outside of the folder'),
        ('../out', b'x', 'would be written outside of the folder'),
        ('output/a/../../../out', b'x', 'would be written outside'),
        ('..\\out', b'x', 'would be written outside of the folder'),
        ('C:\\out', b'x', 'would be written outside of the folder'),
        ('output/x', (tarfile.SYMTYPE, '../..'), 'is neither a plain file'),
        ('output/x', (tarfile.LNKTYPE, 'a'), 'is neither a plain file'),
        ('output/x', (tarfile.FIFOTYPE, ''), 'is neither a plain file nor'),
        ('output/x', (tarfile.GNUTYPE_SPARSE, ''), 'is neither a plain file'),
        ('output/a/x', b'x', 'is in a file'),
    ],
)
def test_a_member_that_is_not_to_be_trusted(
    fetch, server, here, name, content, reason
):
    name = name.format(here)
    if isinstance(content, tuple):
        content = special(content[0], name, content[1])
    server.body = tar_gz({'output/a': b'a', name: content, 'output/z': b'z'})
    (here / 'in').mkdir()
    error = error_of(fetch, '--dest', 'in')
    assert f'its member {name!r} {reason}' in error
    assert error.endswith('. Nothing was unpacked.')
    files = [path.name for path in here.rglob('*') if not path.is_dir()]
    assert files == ['sniper_models.tar.gz']


@pytest.mark.parametrize('what', ['detectors', 'pretrained', 'proposals'])
@pytest.mark.parametrize(
    'name', ['tools/download_weights.py', './setup.py', 'Output/b', '.bashrc']
)
def test_members_beside_the_folder_are_refused(run, server, here, what, name):
    inside = 'output' if what == 'detectors' else 'data'
    server.body = tar_gz({f'./{inside}/a.params': b'a', name: b'payload'})
    error = error_of(run, what)
    assert f"'{name.split('/')[0]}' is outside of its folder" in error or (
        f"'setup.py' is outside of its folder {inside}" in error
    )
    assert error.endswith('Nothing was unpacked.')
    assert [path.suffix for path in here.iterdir()] == ['.gz']


def test_notes_of_a_mac_are_left_out(fetch, server, here):
    server.body = tar_gz(
        {'._output': b'?', 'output/._a': b'?', 'output/a': b''}
    )
    fetch()
    assert [path.name for path in Path('output').iterdir()] == ['a']
    assert not Path('._output').exists()


@pytest.mark.parametrize(
    'body',
    [
        tar_gz({'output/a': bytes(3 * 10**6)}),
        tar_gz({f'output/{i}': bytes(10**6) for i in range(3)}),
        # Behind the last member, where a reader may look for the checksum.
        gzip.compress(gzip.decompress(ARCHIVE) + bytes(3 * 10**6)),
        # A name of three megabytes.
        gzip.compress(gzip.decompress(tar_gz({'n' * 3 * 10**6: b''}))),
    ],
    ids=['a member', 'members', 'what follows', 'a name'],
)
def test_what_unpacks_to_too_much_is_refused(
    fetch, server, here, monkeypatch, body
):
    monkeypatch.setattr(archives, '_MOST', 2 * 10**6)
    monkeypatch.setattr(archives, '_MOST_TIMES', 2)
    server.body = body
    error = error_of(fetch)
    assert 'tar.gz would unpack to more than 2 MB' in error
    assert not Path('output').exists()


def test_no_room_to_unpack(fetch, server, monkeypatch, here):
    Path('output/a').mkdir(parents=True)
    Path('output/a/b.bin').write_bytes(b'old')
    part(server, ARCHIVE)
    usage = type('usage', (), dict(free=10**5))
    monkeypatch.setattr(archives.shutil, 'disk_usage', lambda path: usage)
    assert error_of(fetch) == (
        'download_weights: . cannot be written: it takes 0 MB, and 0 MB are '
        'free.'
    )
    assert Path('output/a/b.bin').read_bytes() == b'old'


def test_all_files_are_unpacked_or_none(fetch, server, here, full_disk):
    server.body = tar_gz({'output/a': b'a', 'output/b': CONTENT})
    Path('output').mkdir()
    Path('output/a').write_bytes(b'old')
    Path('sniper_models.tar.gz').write_bytes(server.body)
    with full_disk(100_000):
        error = error_of(fetch)
    assert 'output/b cannot be written: File too large; a previous' in error
    assert [p.read_bytes() for p in Path('output').iterdir()] == [b'old']
    fetch()
    assert Path('output/a').read_bytes() == b'a'


def test_a_full_disk_keeps_what_came(fetch, server, full_disk):
    with full_disk(100_000):
        error = error_of(fetch)
    assert error.startswith(
        'download_weights: sniper_models.tar.gz cannot be written: File too '
    )
    assert error.endswith('is kept in sniper_models.tar.gz.part.')
    fetch()
    check()
    assert server.asked[-1].startswith('bytes=')


def test_two_calls_at_once(fetch, server):
    with claimed('sniper_models.tar.gz.lock', 'x'):
        assert 'another process does so now' in error_of(fetch)
    assert not server.asked
    fetch()
    check()


@pytest.fixture
def https(server, here, monkeypatch):
    """The server, of https."""
    line = (
        'openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem '
        '-out cert.pem -subj /CN=test -addext subjectAltName=IP:127.0.0.1'
    )
    if shutil.which('openssl') is None:
        pytest.skip('there is no openssl to make a certificate')
    subprocess.run(line.split(), check=True, capture_output=True)
    monkeypatch.setenv('SSL_CERT_FILE', 'cert.pem')
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain('cert.pem', 'key.pem')
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.url = server.url.replace('http:', 'https:').replace('file', 'moved')
    return server


def test_redirections_stay_on_https(fetch, https):
    fetch()
    check()


def test_a_redirection_from_https_to_http_is_refused(fetch, https, here):
    https.location = 'http://127.0.0.1/elsewhere'
    error = error_of(fetch)
    assert (
        f'{https.url} leads to {https.location}, which is not https' in error
    )
    assert not list(here.glob('sniper*'))


def test_a_folder_that_lies_on_another_disk(run, server, here):
    (here / 'disk').mkdir()
    Path('data').symlink_to('disk')
    server.body = tar_gz(
        {'./': special(tarfile.DIRTYPE), './proposals/a': b''}
    )
    run('proposals')
    assert (here / 'disk/proposals/a').exists()


def broken(start, size):
    damaged = bytearray(ARCHIVE)
    damaged[start : start + size] = b'?' * size
    return bytes(damaged)


@pytest.mark.parametrize(
    'content, reason',
    [
        (ARCHIVE[:90000], 'is damaged ('),
        (broken(90000, 40), 'is damaged ('),
        # The checksum, which follows the last member.
        (broken(len(ARCHIVE) - 8, 4), 'is damaged (CRC check failed'),
        (gzip.compress(b'no tar' * 999), 'is damaged ('),
        (b'<html>', "is no .tar.gz, it starts with b'<html>': remove it"),
        (b'', "is no .tar.gz, it starts with b'': remove it"),
    ],
)
def test_a_damaged_archive(fetch, content, reason):
    Path('sniper_models.tar.gz').write_bytes(content)
    assert f'sniper_models.tar.gz {reason}' in error_of(fetch)
    assert not Path('output').exists()


@pytest.mark.parametrize(
    'args, reason',
    [
        (['all'], "argument what: invalid choice: 'all'"),
        (['detectors', '--url', 'file:///x'], 'must begin with http'),
        (['detectors', '--sha256', 'abc'], 'must be 64 hexadecimal digits'),
    ],
)
def test_arguments(run, args, reason, capsys):
    with pytest.raises(SystemExit):
        run(*args)
    assert reason in capsys.readouterr().err


@pytest.fixture(scope='module')
def shapes():
    """Of the released networks' tensors."""
    with np.load(OUTPUTS) as file:
        return {
            key.removesuffix('.shapes'): json.loads(str(file[key]))
            for key in file
            if key.endswith('.shapes')
        }


@pytest.mark.parametrize(
    'network, without, rows, config',
    [
        (
            'resnet101_autofocus',
            None,
            81,
            'autofocus/faster-rcnn_r101-dcn_c4c5_autofocus_7e_coco',
        ),
        (
            'resnet101_autofocus',
            'conv_new_out',
            81,
            'sniper/faster-rcnn_r101-dcn_c4c5_sniper_7e_coco-trainval',
        ),
        (
            'resnet101_autofocus',
            'conv_new_out',
            21,
            'sniper/faster-rcnn_r101-dcn_c4c5_sniper_7e_voc0712',
        ),
        (
            'resnet101_autofocus',
            'rpn_|cls_score|conv_new|fc_new|bbox_pred|offset_',
            81,
            'sniper/faster-rcnn_r101-dcn_c4c5_sniper_7e_coco',
        ),
        (
            'resnet101_mask_autofocus',
            None,
            81,
            'autofocus/mask-rcnn_r101-dcn_c4c5_autofocus_7e_coco',
        ),
        (
            'resnet101_mask_autofocus',
            'conv_new_out',
            81,
            'sniper/mask-rcnn_r101-dcn_c4c5_sniper_7e_coco',
        ),
        (
            'resnet50',
            None,
            81,
            'sniper/faster-rcnn_r50-dcn_c4c5_sniper_7e_coco',
        ),
        (
            'mobilenetv2',
            None,
            81,
            'sniper/faster-rcnn_mobilenetv2_sniper_7e_coco',
        ),
        ('resnet50', None, 21, 'no config has R-50, 21 rows of cls_score'),
        (
            'resnet101_mask_autofocus',
            None,
            21,
            'no config has R-101, 21 rows of cls_score, mask, focus',
        ),
        (
            'resnet101_autofocus',
            'arg:cls_score|conv_new_out',
            81,
            'no config has R-101, 0 rows of cls_score',
        ),
        (
            'resnet101_autofocus',
            'stage3_unit7_|rpn_',
            81,
            'no config has an unknown backbone',
        ),
    ],
)
def test_config_of_tensors(shapes, network, without, rows, config):
    found = {
        name: shape
        for name, shape in shapes[network].items()
        if not (without and re.search(without, name))
    }
    if 'arg:cls_score_weight' in found:
        found['arg:cls_score_weight'] = (rows, 1024)
    if config.startswith('no'):
        with pytest.raises(ValueError, match=f'^{config}$'):
            config_of(found)
    else:
        assert config_of(found) == f'configs/{config}.py'


def test_configs_are_there():
    for config in CONFIGS.values():
        assert (ROOT / f'configs/{config}.py').exists()


def params(path, shapes):
    write_params(path, {n: np.zeros(s, np.float32) for n, s in shapes.items()})
    return Path(path).read_bytes()


def test_pretrained_go_where_configs_look(run, server, shapes, capsys):
    """With the converter itself, from the folder of the package or another."""
    backbone = {
        name: shape
        for name, shape in shapes['mobilenetv2'].items()
        if re.match('...:(first|last|seq)-', name)
    }
    backbone['arg:pred_weight'] = (10, 1280, 1, 1)
    name = 'pretrained_model/mobilenetv2-0000.params'
    server.body = tar_gz(
        {
            name: params('made', backbone),
            # As some archivers add.
            'pretrained_model/._mobilenetv2-0000.params': b'?',
        }
    )
    run('pretrained')
    config = 'configs/sniper/faster-rcnn_mobilenetv2_sniper_7e_coco.py'
    init = Config.fromfile(ROOT / config).model.backbone.init_cfg
    out = capsys.readouterr().out
    assert re.search(
        rf'1 files of weights:\nconverted +{init.checkpoint} .*{config}\n', out
    )
    state = torch.load(init.checkpoint)['state_dict']
    assert len(state) == len(backbone) - 1
    assert all(name.startswith(init.prefix) for name in state)
    assert Path('data', name).exists()


def test_a_file_that_cannot_be_converted_stops_no_other(
    run, server, shapes, monkeypatch, capsys
):
    def convert(*args):
        calls.append([str(arg) for arg in args])
        if 'fails' in calls[-1][0]:
            raise RuntimeError('long\nand bad')
        return Conversion()

    calls = []
    monkeypatch.setattr(conversion, 'convert_file', convert)
    # What tells networks apart, of one number each.
    mini = {name: [1] * len(s) for name, s in shapes['resnet50'].items()}
    coco = params('made', {**mini, 'arg:cls_score_weight': (81, 1)})
    members = {
        'output/a b/SNIPER-0007.params': coco,
        'output/broken/SNIPER-0007.params': coco[:-5],
        'output/fails/SNIPER-0007.params': coco,
        'output/other/SNIPER-0007.params': params('made', mini),
        'output/other/SNIPER-symbol.json': b'{}',
    }
    server.body = tar_gz(members)
    with pytest.raises(SystemExit, match='^1$'):
        run()
    out = capsys.readouterr().out
    config = os.path.relpath(
        ROOT / 'configs/sniper/faster-rcnn_r50-dcn_c4c5_sniper_7e_coco.py'
    )
    converter = os.path.relpath(ROOT / CONVERTER)
    source = 'output/a b/SNIPER-0007'
    assert calls[0] == [f'{source}.params', f'{source}.pth', config]
    assert len(calls) == 2
    assert '  RuntimeError: long\n  and bad\n' in out
    assert f' 0 missing.\n  wrote {source}.pth\n' in out
    assert (
        f'  By hand: python {shlex.quote(converter)} '
        'output/other/SNIPER-0007.params '
        'output/other/SNIPER-0007.pth --config CONFIG\n'
    ) in out
    assert [line.split() for line in out.splitlines()[-5:]] == [
        '4 files of weights:'.split(),
        ['converted', 'output/a', 'b/SNIPER-0007.pth', *config.split()],
        ['failed', 'output/broken/SNIPER-0007.params', 'CONFIG'],
        ['failed', 'output/fails/SNIPER-0007.params', *config.split()],
        ['unknown', 'output/other/SNIPER-0007.params', 'CONFIG'],
    ]


@pytest.mark.parametrize('kept, code', [('acd', 0), ('cd', 1), ('', 1)])
def test_what_is_unknown_is_no_failure_beside_others(
    run, server, monkeypatch, kept, code, shapes
):
    monkeypatch.setattr(conversion, 'convert_file', lambda *_: Conversion())
    known = params(
        'made', {n: [1] for n in shapes['mobilenetv2'] if 'rpn' not in n}
    )
    unknown = params('made', {'arg:fc_weight': [1]})
    members = {'a': known, 'c': unknown, 'd': unknown}
    server.body = tar_gz(
        {'x': b'', **{f'{n}.params': members[n] for n in kept}}
    )
    if code:
        with pytest.raises(SystemExit, match='^1$'):
            run()
    else:
        run()


@pytest.mark.parametrize('top', ['data/', ''])
def test_proposals(run, server, capsys, top):
    name = 'proposals/COCO_train_rpn.pkl'
    server.body = tar_gz({f'{top}{name}': b'', f'{top}proposals/note': b''})
    run('proposals')
    assert Path('data', name).exists()
    tool = TOOLS / 'dataset_converters/convert_proposals.py'
    tool = shlex.quote(os.path.relpath(tool))
    assert capsys.readouterr().out.endswith(
        'To convert, with a config that trains on their images:\n'
        f'  python {tool} data/{name} CONFIG --out '
        'data/proposals/COCO_train_rpn.npz\n'
    )
