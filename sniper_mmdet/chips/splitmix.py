"""Random numbers in compiled code: splitmix64, one state per image.

A state is an array (1,), uint64, changed in place. A number depends only on
the state and on how many steps away it is, so that steps can be skipped.
"""

import numpy as np

from .compiled import njit

_STEP = np.uint64(0x9E3779B97F4A7C15)


@njit
def random_after(state, steps):
    """uint64: the random number that many steps ahead."""
    z = state[0] + np.uint64(steps) * _STEP
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit
def advance(state, steps):
    """Advance the state by a number of steps."""
    state[0] += np.uint64(steps) * _STEP


@njit
def next_random(state):
    """uint64: the next random number; advances the state by one step."""
    advance(state, 1)
    return random_after(state, 0)
