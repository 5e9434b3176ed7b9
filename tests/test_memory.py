"""What the C library keeps of freed memory, seen in a process of its own: the setting is the whole process's."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Prints how many KiB of blocks were taken from the system each by itself, after a large one was freed and one as large
# was taken again.
PROGRAM = """
import ctypes
from jenkins_proxy import memory
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]
library = ctypes.CDLL(None)
library.malloc.restype, library.free.argtypes, library.mallinfo2.restype = ctypes.c_void_p, [ctypes.c_void_p], Info
{first}
for _ in range(3):
    library.free(library.malloc(ctypes.c_size_t(8 << 20)))
before = library.mallinfo2().hblkhd
block = library.malloc(ctypes.c_size_t(8 << 20))
print(library.mallinfo2().hblkhd - before >> 10)
"""


@pytest.mark.parametrize(("first", "own"), [("", False), ("memory.give_back()", True)])
def test_large_blocks_go_back_to_the_system(first, own):
    argv = [sys.executable, "-c", PROGRAM.format(first=first)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert (int(done.stdout) >= 8192) is own
