"""Work over blocks: order, memory, progress, cancelling, errors."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_lucky.execution.blocks import blocks_of, cores, map_blocks
from napari_lucky.execution.job import Cancelled, Job

BLOCKS = blocks_of(100, 1 << 21)  # a frame a block


@pytest.fixture
def workers():
    """Return a function that returns the threads that are running and were not before."""
    before = set(threading.enumerate())
    return lambda: set(threading.enumerate()) - before


@pytest.mark.parametrize("n", [0, 1, 2, 63, 64, 65, 1000])
@pytest.mark.parametrize("pixels", [1, 100, 1 << 14, 1280 * 1024, 1 << 24])
def test_blocks_hold_every_frame_once_and_not_too_many_pixels(n, pixels):
    blocks = blocks_of(n, pixels)
    assert [k for block in blocks for k in range(block.start, block.stop)] == list(range(n))
    for block in blocks:
        count = block.stop - block.start
        assert count == 1 or count * pixels <= 1 << 21


def test_results_come_in_the_order_of_the_blocks():
    def slowest_first(block: slice) -> int:
        time.sleep(0.02 if block.start % 7 == 0 else 0)
        return block.start

    assert list(map_blocks(slowest_first, BLOCKS)) == list(range(100))


def test_no_blocks_give_no_results():
    assert list(map_blocks(lambda block: 1, [])) == []


@pytest.mark.skipif(cores() < 2, reason="one processor")
def test_blocks_run_side_by_side():
    together = threading.Barrier(2, timeout=600)  # nobody passes alone
    list(map_blocks(lambda block: together.wait(), BLOCKS[:10]))


def test_only_a_few_blocks_are_under_way_however_slow_the_taker():
    alive, most, lock = 0, 0, threading.Lock()

    def start(block: slice) -> int:
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)
        return block.start

    for _ in map_blocks(start, BLOCKS):
        time.sleep(0.001)  # time enough for every block, if they were let
        with lock:
            alive -= 1
    assert most <= 2 * cores()


def test_sums_are_the_same_to_the_bit_in_every_run():
    values = np.random.default_rng(0).normal(0, 1e3, (100, 500)).astype(np.float32)

    def add(block: slice) -> np.ndarray:
        time.sleep(np.random.default_rng().uniform(0, 0.002))
        return values[block].sum(axis=0)

    def total() -> np.ndarray:
        result = np.zeros(500, np.float32)
        for some in map_blocks(add, BLOCKS):
            result += some
        return result

    first = total()
    assert all(np.array_equal(first, total()) for _ in range(4))
    one_after_the_other = np.zeros(500, np.float32)
    for block in BLOCKS:
        one_after_the_other += values[block].sum(axis=0)
    assert np.array_equal(first, one_after_the_other)


def test_progress_counts_frames_from_none_to_all():
    calls = []
    blocks = blocks_of(150, 1 << 15)
    list(
        map_blocks(
            lambda b: 0, blocks, job=Job(progress=lambda *told: calls.append(told)), what="testing"
        )
    )
    done = [call[0] for call in calls]
    assert (done[0], done[-1]) == (0, 150)
    assert done == sorted(done)
    assert {call[1:] for call in calls} == {(150, "testing")}


def test_progress_is_called_from_the_callers_thread_while_a_block_takes_long():
    callers, enough = [], threading.Event()

    def progress(done: int, total: int, what: str) -> None:
        callers.append(threading.current_thread())
        if len(callers) == 4:
            enough.set()

    (in_time,) = map_blocks(lambda block: enough.wait(60), BLOCKS[:1], job=Job(progress=progress))
    assert in_time
    assert set(callers) == {threading.current_thread()}


def test_a_cancel_does_not_wait_for_the_blocks_that_run(workers):
    release, started, ended = threading.Event(), [], []

    def block_for_long(block: slice) -> None:
        started.append(block)
        release.wait(60)
        ended.append(block)

    def cancel_once_blocks_run(done: int, total: int, what: str) -> None:
        if started:
            raise Cancelled

    try:
        with pytest.raises(Cancelled):
            list(map_blocks(block_for_long, BLOCKS, job=Job(progress=cancel_once_blocks_run)))
        assert not ended
    finally:
        release.set()
    for thread in workers():
        thread.join(600)
    assert not workers()
    assert len(started) <= cores()  # those that waited for their turn never began


def test_no_thread_is_left_after_a_normal_end(workers):
    list(map_blocks(lambda block: block.start, BLOCKS))
    assert not workers()


def test_no_block_begins_after_the_taker_stops(workers):
    started = []

    def start(block: slice) -> int:
        started.append(block.start)
        return block.start

    results = map_blocks(start, BLOCKS)
    assert next(results) == 0
    results.close()
    for thread in workers():
        thread.join(600)
    count = len(started)
    assert count <= 2 * cores()
    time.sleep(0.05)
    assert len(started) == count


def test_an_error_in_a_block_reaches_the_caller_and_ends_the_rest():
    started, got = [], []

    def fail(block: slice) -> int:
        started.append(block.start)
        if block.start == 5:
            raise RuntimeError("block 5 is broken")
        return block.start

    with pytest.raises(RuntimeError, match="block 5"):
        got.extend(map_blocks(fail, BLOCKS))
    assert got == [0, 1, 2, 3, 4]
    assert max(started) <= 5 + 2 * cores()


@pytest.mark.parametrize("allowed", [0, 1])
def test_where_the_system_refuses_threads_blocks_run_all_the_same(monkeypatch, allowed):
    started, real, ran = [], threading.Thread.start, []

    def limited(thread: threading.Thread) -> None:
        if len(started) >= allowed:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        real(thread)

    def once(block: slice) -> int:
        ran.append(block.start)
        if block.start == 7:
            raise ZeroDivisionError
        return block.start

    monkeypatch.setattr(threading.Thread, "start", limited)
    assert list(map_blocks(once, BLOCKS[:7])) == [block.start for block in BLOCKS[:7]]
    assert sorted(ran) == [block.start for block in BLOCKS[:7]]
    with pytest.raises(ZeroDivisionError):
        list(map_blocks(once, [slice(7, 8)]))


def test_a_given_executor_does_the_work_and_stays_open():
    with ThreadPoolExecutor(1, thread_name_prefix="mine") as pool:
        names = set(
            map_blocks(
                lambda b: threading.current_thread().name, BLOCKS[:9], job=Job(executor=pool)
            )
        )
        assert {name.split("_")[0] for name in names} == {"mine"}
        with pytest.raises(ZeroDivisionError):
            list(map_blocks(lambda block: 1 / block.start, BLOCKS[:9], job=Job(executor=pool)))
        assert pool.submit(lambda: 7).result() == 7
