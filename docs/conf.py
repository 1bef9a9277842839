"""Settings of the documentation site, which ``bash docs/build.sh`` builds.

The folder of the sources is the repository itself, not ``docs``: pages stay
where GitHub shows them, and their links and pictures work in both places.
"""

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS / '_ext')]

from sniper_mmdet.version import __version__  # noqa: E402  # by the path above

project = 'sniper_mmdet'
author = 'the authors of sniper_mmdet'
version = release = __version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx_copybutton',
    'docstring_names',
    'index_of_docs',
]

# Pages ----------------------------------------------------------------------

root_doc = 'docs/index'
include_patterns = [
    '*.md',
    'docs/*.md',
    'docs/api/*.md',
    'configs/**README.md',
]
# docs/index.md includes docs/README.md. Folders without pages take time.
exclude_patterns = ['docs/README.md', 'docs/_build'] + [
    path.name
    for path in ROOT.iterdir()
    if path.is_dir() and path.name not in ('docs', 'configs')
]
# Colons, as the tests read what stands in backticks.
myst_enable_extensions = ['colon_fence']
# Links to headings are made as GitHub makes them.
myst_heading_anchors = 6

# API reference --------------------------------------------------------------

# A role in a docstring that names nothing is an error.
nitpicky = True
nitpick_ignore_regex = [
    ('py:.*', r'(DetDataSample|InstanceData|BitmapMasks)(\..*)?'),
    # What the types of attributes hold besides: sizes, libraries.
    ('py:class', r'[A-Z]( \+ 1)?|optional|Affine|CRS'),
]
# Docstrings give the types; those of parents are not ours.
autodoc_typehints = 'none'
autodoc_inherit_docstrings = False
autodoc_member_order = 'bysource'
napoleon_numpy_docstring = False
# Types such as "ndarray (N, 4)" are text, not names to look up.
napoleon_use_param = False
napoleon_use_rtype = False
# Fields of named tuples are members too, and must not be listed twice.
napoleon_custom_sections = [('Attributes', 'params_style')]
toc_object_entries_show_parents = 'hide'

# Looks ----------------------------------------------------------------------

html_theme = 'furo'
html_title = f'sniper_mmdet {release}'
html_static_path = ['_static']
html_css_files = ['site.css']
# Its index.html leads to docs/index.html.
html_extra_path = ['_extra']
html_copy_source = False
html_show_copyright = False
copybutton_prompt_text = '>>> '
