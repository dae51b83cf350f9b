#!/usr/bin/env python3
"""What of a process's heaps is live, and what glibc only keeps: for the question what grows in PID 1.

    sudo tests/chaos/heap.py PID        of an init that runs, as often as wanted

A heap is a row of chunks, each with its size and a bit that says whether the one before is in use (malloc/malloc.c). Freed
chunks of up to 1,040 bytes are not free in that sense: each thread keeps up to seven of each of 64 sizes (tcache), 235 KiB
in all, and the first chunk of its heap counts them. Only for x86-64 and arm64 with glibc 2.30 to 2.41.
"""

import re
import struct
import sys

KEPT, SIZES, STEP = 7, 64, 16
# The chunk of the counts: 64 of two bytes, 64 pointers, its header; the lowest bit says that the one before is in use.
COUNTS = SIZES * 2 + SIZES * 8 + 16
SMALLEST = 32


def heaps(pid):
    """The bytes of each heap: the program break's, and those of threads, which begin at multiples of 64 MiB."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            begin, end, name = re.match(r"(\w+)-(\w+) \S+ \S+ \S+ \S+\s*(.*)", line).groups()
            begin, end = int(begin, 16), int(end, 16)
            if " rw-p " in line and (name == "[heap]" or not name and begin % (64 << 20) == 0):
                memory.seek(begin)
                yield name or "of a thread", memory.read(end - begin)


def first(heap):
    """Where the chunk of the counts is."""
    for at in range(0, len(heap) - COUNTS, STEP):
        if struct.unpack_from("<Q", heap, at + 8)[0] in (COUNTS | 1, COUNTS | 5):
            counts = struct.unpack_from(f"<{SIZES}H", heap, at + 16)
            if any(counts) and max(counts) <= KEPT:
                return at, counts
    sys.exit("no chunk of counts: another libc?")


def parts(heap):
    """Bytes that are live, kept by the thread, and free."""
    at, counts = first(heap)
    kept = sum(count * (SMALLEST + STEP * n) for n, count in enumerate(counts))
    used = free = 0
    while at + 16 < len(heap):
        size = struct.unpack_from("<Q", heap, at + 8)[0] & ~7
        after = at + size
        if size < SMALLEST or after > len(heap):
            break
        if after + 16 > len(heap):
            free += size
        elif struct.unpack_from("<Q", heap, after + 8)[0] & 1:
            used += size
        else:
            free += size
        at = after
    return used - kept, kept, free


def main():
    """One line for each heap."""
    for name, heap in heaps(int(sys.argv[1])):
        live, kept, free = (round(part / 1024) for part in parts(heap))
        print(f"{name}: {len(heap) // 1024} KiB; live {live}, kept by its thread {kept}, free {free}")


if __name__ == "__main__":
    main()
