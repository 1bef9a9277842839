import gc
import platform
import subprocess
import sys

import pytest

from sniper_mmdet.utils import memory
from sniper_mmdet.utils.memory import keep_freed_memory, no_garbage


@pytest.mark.parametrize('enabled', [True, False])
def test_garbage_is_collected_afterwards_as_before(enabled):
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(ValueError), no_garbage():
            assert not gc.isenabled()
            raise ValueError
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()


# Prints the pages that the system hands out while arrays of 50 chips come and
# go: 576 for the arrays of one, 28,800 for all.
CHIPS = """
import resource
import numpy as np
from sniper_mmdet.utils.memory import keep_freed_memory
keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    arrays = [np.ones((512, 512, 3), np.uint8) for _ in range(3)]
    del arrays
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


# Prints by how many bytes a process shrinks when an array of 256 MB is freed
# below a small one: a forked worker; with large arrays apart; afterwards.
ARRAYS = """
import multiprocessing
import numpy as np
from sniper_mmdet.benchmark.meters import memory
from sniper_mmdet.utils.memory import (
    keep_all_freed_memory, keep_freed_memory, large_arrays_apart)

def free():
    keep_freed_memory()
    large = np.ones(2**28, np.uint8)
    above = np.ones(2**20, np.uint8)
    before = memory('VmRSS')
    del large
    print(before - memory('VmRSS'), flush=True)

keep_all_freed_memory()
worker = multiprocessing.get_context('fork').Process(target=free)
worker.start()
worker.join()
with large_arrays_apart():
    free()
free()
"""
needs_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != 'glibc', reason='needs glibc'
)


def printed(code):
    command = [sys.executable, '-c', code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


@needs_glibc
def test_freed_memory_is_used_again():
    assert printed(CHIPS)[0] < 5000


@needs_glibc
def test_large_arrays_are_on_the_heap_unless_apart():
    worker, apart, kept = printed(ARRAYS)
    assert min(worker, apart) > 2**27 > kept


def test_without_glibc_nothing_happens(monkeypatch):
    def absent(name):
        raise OSError(name)

    monkeypatch.setattr(memory, '_told', 0)
    monkeypatch.setattr(memory.ctypes, 'CDLL', absent)
    keep_freed_memory()
