"""Random numbers in compiled code: splitmix64, one state an image.

A state is an array (1,), uint64, changed in place. Numbers are a function of
how many steps the state is away, so that steps can be skipped.
"""

import numpy as np

from .compiled import njit

_STEP = np.uint64(0x9E3779B97F4A7C15)


@njit
def random_after(state, steps):
    """uint64: the number that so many steps from now will give."""
    z = state[0] + np.uint64(steps) * _STEP
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit
def advance(state, steps):
    """Take so many steps."""
    state[0] += np.uint64(steps) * _STEP


@njit
def next_random(state):
    """uint64: the next number, whose step is taken."""
    advance(state, 1)
    return random_after(state, 0)
