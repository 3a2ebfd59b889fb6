"""The kernel heap: whether a request could not be met, and why; whether its books hold."""

import re
from collections.abc import Iterator

from rcdbg.doctor.examination import Examination
from rcdbg.doctor.finding import Confidence, Fact, Finding, Severity, bucket_of
from rcdbg.doctor.settled import as_sure_as, is_settled
from rcdbg.model.memory.heap import Heap, read_heap
from rcdbg.model.panics import read_panic

_HEAP = "show heap"
_ALLOCATION = re.compile(r"\balloc", re.IGNORECASE)
_SIZE = re.compile(r"allocation of (\d+) bytes|size:? (\d+)")
_FACTS = 6


def exhausted(examination: Examination) -> Iterator[Finding]:
    """A request for memory that failed: for want of bytes, or of a block that is large enough."""
    panic = read_panic(examination.kernel)
    if panic is None or not _ALLOCATION.search(f"{panic.message} {panic.file}"):
        return
    heap = read_heap(examination.kernel)
    size = _SIZE.search(panic.message)
    asked = int(next(filter(None, size.groups()))) if size is not None else None
    if asked is None and heap.free:
        asked = None
    fragmented = asked is not None and heap.free >= asked > heap.largest
    what = "there are enough free bytes, but in no single block" if fragmented else "it is full"
    if asked is not None and heap.largest >= _rounded(heap, asked):
        what = "although a free block is large enough"
    request = f"{asked:,} bytes" if asked is not None else "a block"
    facts = [
        Fact(f"the panic says: {panic.message}", panic.place, "show backtrace"),
        Fact(f"{heap.free:,} of {heap.total or 0:,} bytes are free, in {heap.blocks:,} blocks; "
             f"the largest has {heap.largest:,}", None, _HEAP),
    ]  # fmt: skip
    if asked is not None and heap.lists:
        rounded = _rounded(heap, asked)
        facts.append(Fact(f"this heap rounds {asked:,} bytes up to {rounded:,}", None, _HEAP))
    yield Finding(
        "RC0701",
        Severity.ERROR,
        Confidence.CERTAIN if asked is not None else Confidence.LIKELY,
        f"the kernel heap cannot give {request}: {what}",
        tuple(facts),
        bucket_of("RC0701", "fragmented" if fragmented else "exhausted"),
        panic.place,
        cause="Memory is taken and not given back, or the heap is too small for what the kernel "
        "keeps; a buddy heap rounds each request up to a power of two, so that it ends sooner."
        if not fragmented
        else "Small blocks that live on lie between the free ones, and a buddy heap joins only "
        "neighbours of the same size.",
        help="Look at who asks (the panicking line), and whether what it made before is dropped; "
        "then make the heap's array larger.",
        may_be_wrong_when="the allocator was asked for an alignment that no block has",
    )


def _rounded(heap: Heap, asked: int) -> int:
    return 1 << max(0, asked - 1).bit_length() if heap.lists else asked


def broken(examination: Examination) -> Iterator[Finding]:
    """Free lists that lead nowhere, blocks that lie in one another, counts that contradict."""
    kernel = examination.kernel
    heap = read_heap(kernel)
    if heap.locked or not heap.problems:
        return
    settled = is_settled(kernel)
    first = heap.problems[0]
    yield Finding(
        "RC0702",
        Severity.ERROR if settled else Severity.NOTE,
        as_sure_as(kernel),
        f"the kernel heap is damaged: {first.why}",
        tuple(Fact(f"{p.where}: {p.why}", None, _HEAP) for p in heap.problems[:_FACTS]),
        bucket_of("RC0702", "heap"),
        cause="Somebody wrote behind the end of a block, or into one that was given back; or a "
        "block was given back twice. The free lists lie in the free blocks themselves.",
        help="Look at what was allocated right before the damaged block, and at every `unsafe` "
        "that writes there.",
        may_be_wrong_when="the kernel is in the middle of an allocation without a lock",
    )
