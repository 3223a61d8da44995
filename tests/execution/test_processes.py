"""Blocks in copies of this process: order, imports, errors, deaths, interrupts."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from napari_lucky import LuckyError
from napari_lucky.execution.blocks import cores, map_blocks
from napari_lucky.execution.job import Cancelled, Job
from napari_lucky.execution.processes import Copy, ForkExecutor, fork_executor

ONES = [slice(k, k + 1) for k in range(40)]

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or cores() < 2, reason="copies need Linux and two processors"
)


@pytest.fixture
def alone(monkeypatch):
    """Other tests may have left threads that wait for nothing."""
    monkeypatch.setattr(threading, "active_count", lambda: 1)


@pytest.fixture
def executor(alone):
    made = ForkExecutor()
    yield made
    made.shutdown()


def test_results_come_in_order_from_the_copies(executor):
    def where(block: slice) -> tuple[int, int]:
        time.sleep(0.005 if block.start % 5 == 0 else 0)
        return block.start, os.getpid()

    done = list(map_blocks(where, ONES, job=Job(executor=executor)))
    assert [start for start, _ in done] == list(range(40))
    pids = {pid for _, pid in done}
    assert len(pids) == 1 + cores()
    assert done[0][1] == os.getpid()
    assert os.getpid() not in {pid for _, pid in done[1:]}


def test_sums_are_those_of_threads_to_the_bit(executor):
    values = np.random.default_rng(0).normal(0, 1e3, (40, 500)).astype(np.float32)

    def add(block: slice) -> np.ndarray:
        return np.sqrt(values[block] ** 2 + 1).sum(axis=0)

    here, there = (
        sum(map_blocks(add, ONES, job=Job(executor=where))) for where in (None, executor)
    )
    assert np.array_equal(here, there)


def test_a_few_blocks_make_no_copies(executor):
    few = ONES[: ForkExecutor.fewest - 1]
    assert set(map_blocks(lambda block: os.getpid(), few, job=Job(executor=executor))) == {
        os.getpid()
    }
    assert executor._copies == []


def test_each_function_gets_copies_of_its_own_and_none_is_left(executor):
    seen = set()
    for k in range(3):
        made = list(
            map_blocks(lambda block, k=k: (k, os.getpid()), ONES[:6], job=Job(executor=executor))
        )
        assert {number for number, _ in made} == {k}
        seen |= {pid for _, pid in made[1:]}
    executor.shutdown()
    for pid in seen:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_copies_end_with_their_function(executor):
    done = list(map_blocks(lambda block: os.getpid(), ONES[:9], job=Job(executor=executor)))
    copies = set(done) - {os.getpid()}
    assert copies
    for pid in copies:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_what_the_first_block_remembers_is_in_all_copies(executor):
    known: list[int] = []

    def look(block: slice) -> tuple[int, ...]:
        known.append(block.start)
        return tuple(known)

    done = list(map_blocks(look, ONES[:8], job=Job(executor=executor)))
    assert all(one[0] == 0 for one in done)


def test_something_is_done_meanwhile_once(executor):
    done = []
    executor._meanwhile = lambda: done.append(threading.current_thread())
    for _ in range(2):
        list(map_blocks(lambda block: None, ONES[:4], job=Job(executor=executor)))
    executor.shutdown()
    assert len(done) == 1
    assert done[0] is not threading.current_thread()


@pytest.mark.parametrize("bad", [0, 3])
def test_an_error_in_a_copy_is_raised_here(executor, bad):
    def fail(block: slice) -> None:
        if block.start == bad:
            raise LuckyError("AF_3.fits: the pixels cannot be read.")

    with pytest.raises(LuckyError, match=r"^AF_3.fits: the pixels cannot be read\."):
        list(map_blocks(fail, ONES, job=Job(executor=executor)))


class OfTwo(Exception):
    """Can be pickled, but not unpickled, even where distributed mends how errors are pickled."""

    def __init__(self, what: str, kind: str) -> None:
        super().__init__(f"{what} {kind}")

    def __reduce__(self):
        return OfTwo, self.args


@pytest.mark.parametrize("local", [True, False])
def test_an_error_that_cannot_be_sent_is_reported(executor, local):
    class Local(Exception):
        pass

    def fail(block: slice) -> None:
        if block.start:
            raise Local("of its own kind") if local else OfTwo("of its own", "kind")

    with pytest.raises(RuntimeError, match=r"(Local|OfTwo).*of its own kind"):
        list(map_blocks(fail, ONES, job=Job(executor=executor)))


def test_a_copy_that_is_killed_is_reported(executor):
    here = os.getpid()

    def die(block: slice) -> int:
        if block.start == 5 and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return block.start

    with pytest.raises(LuckyError, match="was killed, probably for lack of memory"):
        list(map_blocks(die, ONES, job=Job(executor=executor)))


def test_cancelling_does_not_wait_for_the_copies(alone):
    def progress(done: int, total: int, what: str) -> None:
        if done:
            raise Cancelled

    start = time.monotonic()
    with pytest.raises(Cancelled), fork_executor() as executor:
        slow = lambda block: time.sleep(300 if block.start else 0)  # noqa: E731
        list(map_blocks(slow, ONES, job=Job(progress=progress, executor=executor)))
    assert time.monotonic() - start < 100


def test_with_other_threads_there_are_no_copies():
    program = """
    import threading
    from napari_lucky.execution.processes import Copy, ForkExecutor, fork_executor
    with fork_executor() as executor:
        assert isinstance(executor, ForkExecutor)
    stop = threading.Event()
    threading.Thread(target=stop.wait).start()
    with fork_executor() as executor:
        stop.set()
        assert executor is None
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


def test_copies_end_when_the_process_is_killed(tmp_path):
    program = """
    import os, time
    from napari_lucky.execution.blocks import map_blocks
    from napari_lucky.execution.job import Job
    from napari_lucky.execution.processes import ForkExecutor
    def slow(block):
        if block.start:
            os.write(1, b"%d\\n" % os.getpid())
            time.sleep(0.2)
    blocks = [slice(k, k + 1) for k in range(999)]
    for _ in map_blocks(slow, blocks, job=Job(executor=ForkExecutor())): pass
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        pids = {int(process.stdout.readline()) for _ in range(4 * cores())}
        process.kill()
        process.stdout.read()  # ends when no copy holds it any more
    assert len(pids) == cores()
    begin = time.monotonic()
    while not all(map(_is_dead, pids)):
        assert time.monotonic() - begin < 120
        time.sleep(0.01)


def _is_dead(pid: int) -> bool:
    """Return whether a process is gone, but for its parent's notice."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def test_functions_take_turns(executor):
    twice = map_blocks(lambda block: (1, block.start), ONES[:9], job=Job(executor=executor))
    again = map_blocks(lambda block: (2, block.start), ONES[:9], job=Job(executor=executor))
    pairs = list(zip(twice, again, strict=True))
    assert pairs == [((1, k), (2, k)) for k in range(9)]


def test_keywords_are_passed_on(executor):
    def add(x: int, y: int = 0) -> int:
        return x + y

    made = [executor.submit(add, k, y=10) for k in range(5)]
    assert [future.result() for future in made] == [10, 11, 12, 13, 14]


def test_half_an_answer_is_reported():
    answers, there = os.pipe()
    os.write(there, (1000).to_bytes(8, "little") + bytes(10))
    os.close(there)
    with open(os.devnull, "wb") as asked, os.fdopen(answers, "rb") as pipe:
        copy = Copy(0, asked, pipe)
        with pytest.raises(LuckyError, match="was killed"):
            copy.call(slice(0, 1))


def test_an_interrupt_is_not_for_the_copies(executor):
    """A terminal sends it to all processes; the one that waits for the copies decides."""
    here = os.getpid()

    def interrupted(block: slice) -> int:
        if os.getpid() != here:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os.kill(os.getpid(), number)
        return block.start

    assert list(map_blocks(interrupted, ONES, job=Job(executor=executor))) == list(range(40))


@pytest.mark.parametrize("allowed", [0, 1])
@pytest.mark.parametrize("refused", ["fork", "pipe"])
def test_where_the_system_allows_no_more_copies_blocks_run_all_the_same(
    executor, monkeypatch, refused, allowed
):
    """To the same bits, on as many copies as there are, or on threads."""
    made, real = [], getattr(os, refused)

    def limited():
        made.append(1)
        if len(made) > allowed * (1 if refused == "fork" else 2):
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real()

    def mean_of(block: slice) -> float:
        values = np.random.default_rng(block.start).normal(size=1000).astype(np.float32)
        return float(values.mean()), os.getpid()

    open_before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, refused, limited)
    found = list(map_blocks(mean_of, ONES, job=Job(executor=executor)))
    assert [mean for mean, _ in found] == [mean_of(block)[0] for block in ONES]
    assert len({pid for _, pid in found}) == 1 + allowed
    executor.shutdown()
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_where_the_system_allows_no_thread_copies_are_asked_one_after_the_other(
    executor, monkeypatch
):
    done = []

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    executor._meanwhile = lambda: done.append(1)
    found = list(
        map_blocks(lambda block: (block.start, os.getpid()), ONES, job=Job(executor=executor))
    )
    assert [start for start, _ in found] == list(range(40))
    assert len({pid for _, pid in found}) > 1
    assert done == [1]


def test_where_other_threads_have_begun_blocks_run_on_threads():
    executor = ForkExecutor()
    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()
    try:
        done = set(map_blocks(lambda block: os.getpid(), ONES, job=Job(executor=executor)))
    finally:
        stop.set()
        other.join()
        executor.shutdown()
    assert done == {os.getpid()}
