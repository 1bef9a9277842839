"""``--cfg-options`` of MMEngine, with errors for unsuitable values."""

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from mmengine.config import DictAction

#: A space that is not just a gap between elements of a list.
_SPACE = re.compile(r'[^\s,()\[\]] +[^\s,()\[\]]')
_DICT = re.compile(r'\{\s*[\'"]|\bdict\(')


class CfgOptions(DictAction):
    """MMEngine's action, with one-sentence errors for unsuitable values.

    MMEngine's own action removes spaces from values without a warning, and
    turns dicts into text or parses them without end.
    """

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: Sequence[str],
        option_string: str | None = None,
    ) -> None:
        for given in values:
            key, sign, value = given.partition('=')
            rule = None
            if not key or not sign:
                rule = 'each must be key=value'
            elif _DICT.search(value):
                rule = (
                    'a value cannot hold a dict: name its fields, as '
                    'key.field=value, those in a list by their place, as '
                    'key.0.field=value, or write it into the config file'
                )
            elif _SPACE.search(value.strip(' \'"')):
                rule = (
                    'MMEngine removes the spaces from a value: write it into '
                    'the config file, or give a path without a space'
                )
            else:
                try:
                    super().__call__(parser, namespace, [given])
                except (AssertionError, RecursionError):
                    rule = (
                        'a value must be a number, a text, or a list whose '
                        'brackets are in pairs, as [(a,b),(c,d)]'
                    )
            if rule:
                parser.error(
                    f'{self.option_strings[0]}: {rule}. Received: {given}.'
                )
