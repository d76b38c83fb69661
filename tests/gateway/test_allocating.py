"""What one thread frees, another uses again."""

from __future__ import annotations

import subprocess
import sys

import pytest

# memory is asked for in another thread; that of the first place lies below the end of the process's heap
IN_A_THREAD = """
import ctypes, threading
{before}
library = ctypes.CDLL(None)
library.malloc.restype = library.sbrk.restype = ctypes.c_void_p
given = []
thread = threading.Thread(target=lambda: given.append(library.malloc(ctypes.c_size_t(5_000))))
thread.start()
thread.join()
print(given[0] < library.sbrk(0))
"""
CALLED = "from gateway.allocating import free_into_one_place; free_into_one_place()"


@pytest.mark.parametrize(("before", "in_one_place"), [(CALLED, "True"), ("", "False")], ids=["called", "control"])
@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries have no arenas")
def test_memory_of_every_thread_comes_from_one_place(before: str, in_one_place: str) -> None:
    program = IN_A_THREAD.format(before=before)
    told = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True, timeout=60)

    assert told.stdout.strip() == in_one_place
