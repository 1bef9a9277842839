"""The documentation site: every page has its place, every name exists."""

import importlib
import re
import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from pages import DOCS
from tiny import ROOT

import sniper_mmdet

API = sorted(ROOT.glob('docs/api/*.md'))
DIRECTIVE = re.compile(r'^\.\. auto(\w+):: (\S+)$', re.M)


@pytest.fixture
def settings(monkeypatch):
    """What docs/conf.py sets, with the folders that it adds to the path."""
    monkeypatch.setattr(sys, 'path', [*sys.path])
    return runpy.run_path(str(ROOT / 'docs/conf.py'))


def entries_of(page: Path) -> list[Path]:
    """Pages that the tables of contents of a page name."""
    text = page.read_text()
    found = []
    for block in re.findall(r'^:::\{toctree\}\n(.*?)^:::$', text, re.M | re.S):
        lines = [x for x in block.split('\n') if x and not x.startswith(':')]
        for line in lines:
            name = re.sub(r'^.*<(.*)>$', r'\1', line)
            found.append((page.parent / f'{name}.md').resolve())
    return found


def test_every_page_is_in_one_table_of_contents():
    index = ROOT / 'docs/index.md'
    pages = {*API, ROOT / 'CHANGELOG.md', *(ROOT / path for path in DOCS)}
    pages -= {index, ROOT / 'docs/README.md'}  # the one includes the other
    named = Counter(entries_of(index) + entries_of(ROOT / 'docs/api/index.md'))
    assert set(named) == pages
    assert set(named.values()) == {1}


def test_index_is_that_of_github():
    text = (ROOT / 'docs/index.md').read_text()
    assert text.startswith(':::{include} README.md\n')


@pytest.mark.parametrize('page', API, ids=lambda page: page.stem)
def test_names_of_the_reference_exist(page):
    found = DIRECTIVE.findall(page.read_text())
    assert bool(found) == (page.stem != 'index')
    for kind, name in found:
        module, _, last = name.rpartition('.')
        thing = getattr(importlib.import_module(module), last)
        assert isinstance(thing, type) == (kind in ('class', 'exception')), (
            name
        )


def test_no_name_is_in_the_reference_twice():
    things = Counter()
    for page in API:
        for _, name in DIRECTIVE.findall(page.read_text()):
            module, _, last = name.rpartition('.')
            things[getattr(importlib.import_module(module), last)] += 1
    assert not [thing for thing, count in things.items() if count > 1]


def test_settings_name_what_is_there(settings):
    assert settings['release'] == sniper_mmdet.__version__
    assert (ROOT / f'{settings["root_doc"]}.md').is_file()
    for pattern in settings['include_patterns']:
        assert [*ROOT.glob(pattern.replace('**', '**/'))], pattern
    docs = ROOT / 'docs'
    for css in settings['html_css_files']:
        assert (docs / settings['html_static_path'][0] / css).is_file()
    leads = (docs / settings['html_extra_path'][0] / 'index.html').read_text()
    assert f'url={settings["root_doc"]}.html' in leads


def test_build_output_is_no_part_of_the_sources(settings):
    assert 'docs/_build' in settings['exclude_patterns']
    assert '/docs/_build/' in (ROOT / '.gitignore').read_text().split()
    assert 'prune docs/_build' in (ROOT / 'MANIFEST.in').read_text()


SPHINX = 'Sphinx is not installed; docs/build.sh installs it'


def test_roles_that_name_nothing_are_noticed(settings):
    pytest.importorskip('sphinx', reason=SPHINX)
    resolve = importlib.import_module('docstring_names').resolve
    domain = SimpleNamespace(python_domain=SimpleNamespace(objects={}))
    env = SimpleNamespace(domains=domain)
    app = SimpleNamespace(srcdir=ROOT)

    def resolved(name):
        node = dict(refdomain='py', reftarget=name)
        return resolve(app, env, node, 'as written')

    assert resolved('CutChip') == 'as written'
    assert resolved('sniper_mmdet.chips.focus') == 'as written'
    assert resolved('CutChips') is None


@pytest.mark.slow
def test_site_builds_without_a_warning(tmp_path):
    pytest.importorskip('sphinx', reason=SPHINX)
    done = subprocess.run(
        [sys.executable, '-m', 'sphinx', '-q', '-W', '--keep-going']
        + ['-b', 'html', '-c', 'docs', '-d', str(tmp_path / 'doctrees')]
        + ['.', str(tmp_path / 'html')],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    html = tmp_path / 'html'
    index = (html / 'docs/index.html').read_text()
    # Links out of docs, and to it, as GitHub has them.
    assert 'href="../configs/sniper/README.html"' in index
    assert 'docs/index.html' in (html / 'README.html').read_text()
    assert not (html / 'docs/README.html').exists()
    chips = (html / 'docs/api/chips.html').read_text()
    assert 'id="sniper_mmdet.chips.ImagePyramid"' in chips
