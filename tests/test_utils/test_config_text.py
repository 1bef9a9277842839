"""Python text of configs."""

from sniper_mmdet.utils.config_text import Code, assignment, comment


def test_text_of_a_config():
    value = dict(
        a=[1, (2,), {'b c': None}], long=['x' * 30] * 3, ref=Code('_base_.a')
    )
    text = assignment('name', value)
    assert max(map(len, text.splitlines())) < 80
    scope = {'_base_': type('Base', (), dict(a=5))}
    exec(text, scope)
    assert scope['name'] == dict(value, ref=5)
    assert assignment('a', dict(b=1)) == 'a = dict(b=1)'
    assert comment('word ' * 30).count('\n# ') == 1
