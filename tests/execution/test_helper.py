"""Blocks in copies of a helper process: bits, errors, cancels, deaths, and work that stays here."""

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
from napari_lucky.execution import helper as helper_module
from napari_lucky.execution.blocks import cores, map_blocks
from napari_lucky.execution.helper import end_helper, helper_executor, start_helper
from napari_lucky.execution.job import Cancelled, Job

ONES = [slice(k, k + 1) for k in range(24)]

pytest.importorskip("cloudpickle")
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or cores() < 2, reason="copies need Linux and two processors"
)


@pytest.fixture(scope="module", autouse=True)
def helper():
    yield start_helper()
    end_helper()


def until(true, seconds=120.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_sums_are_those_of_threads_to_the_bit_beside_other_threads():
    values = np.random.default_rng(0).normal(0, 1e3, (24, 20_000)).astype(np.float32)
    pids = set()

    def add(block: slice) -> tuple[np.ndarray, int]:
        return np.sqrt(values[block] ** 2 + 1).sum(axis=0), os.getpid()

    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()
    sums = []
    with helper_executor() as executor:
        assert executor is not None
        for where in (None, executor, executor):
            made = list(map_blocks(add, ONES, job=Job(executor=where)))
            sums.append(sum(one for one, _ in made))
            pids |= {pid for _, pid in made}
        with helper_executor() as second:  # two docks at once: the second works on threads
            assert second is None
    stop.set()
    other.join()
    assert np.array_equal(sums[0], sums[1])
    assert np.array_equal(sums[0], sums[2])
    assert os.getpid() in pids
    assert len(pids) > 2
    until(lambda: not any(is_alive(pid) for pid in pids - {os.getpid(), start_helper().pid}))


@pytest.mark.parametrize("what", ["cannot be pickled", "unknown there", "too large"])
def test_what_cannot_be_sent_is_done_here(monkeypatch, what):
    held = threading.Lock() if what == "cannot be pickled" else np.zeros(20_000)
    if what == "unknown there":
        held = type("Held", (), {"__reduce__": lambda self: (eval, ("1 / 0",))})()
    monkeypatch.setattr(helper_module, "MOST_SENT", 100_000 if what == "too large" else 1 << 27)

    def where(block: slice) -> tuple[int, int]:
        assert held is not None
        return block.start, os.getpid()

    def there(block: slice) -> int:
        return os.getpid()

    with helper_executor() as executor:
        job = Job(executor=executor)
        assert list(map_blocks(where, ONES, job=job)) == [(k, os.getpid()) for k in range(24)]
        assert os.getpid() not in set(map_blocks(there, ONES, job=job))  # what follows can be


@pytest.mark.parametrize("bad", [0, 9])
def test_an_error_there_is_raised_here(bad):
    def fail(block: slice) -> None:
        if block.start == bad:
            raise LuckyError("AF_3.fits: the pixels cannot be read.")

    with (
        helper_executor() as executor,
        pytest.raises(LuckyError, match=r"^AF_3.fits: the pixels cannot be read\."),
    ):
        list(map_blocks(fail, ONES, job=Job(executor=executor)))


def test_a_cancel_waits_for_nothing_and_the_next_job_is_not_held_up(tmp_path):
    def slow(block: slice) -> None:
        (tmp_path / f"{block.start}_{os.getpid()}").touch()
        if block.start:
            time.sleep(60)

    def progress(done: int, total: int, what: str) -> None:
        if len(list(tmp_path.iterdir())) > 1:  # in a copy
            raise Cancelled

    with pytest.raises(Cancelled), helper_executor() as executor:
        list(map_blocks(slow, ONES, job=Job(progress, executor)))
    pids = {int(path.name.split("_")[1]) for path in tmp_path.iterdir()}
    until(lambda: not any(is_alive(pid) for pid in pids - {start_helper().pid}))
    with helper_executor() as executor:
        done = list(map_blocks(lambda block: block.start, ONES, job=Job(executor=executor)))
    assert done == list(range(24))


@pytest.mark.parametrize("who", ["a copy", "the helper"])
def test_a_process_that_is_killed_ends_the_job_and_the_next_one_gets_another(who):
    def die(block: slice) -> None:
        if block.start == 9:
            os.kill(os.getpid() if who == "a copy" else os.getppid(), signal.SIGKILL)
            time.sleep(3 if who == "the helper" else 0)

    with pytest.raises(LuckyError, match="killed"), helper_executor() as executor:
        list(map_blocks(die, ONES, job=Job(executor=executor)))
    with helper_executor() as executor:
        assert executor is not None
        there = set(map_blocks(lambda block: os.getpid(), ONES, job=Job(executor=executor)))
    assert os.getpid() not in there


def test_a_helper_that_does_not_start_leaves_the_work_to_threads(monkeypatch):
    end_helper()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with helper_executor() as executor:
        there = set(map_blocks(lambda block: os.getpid(), ONES, job=Job(executor=executor)))
    assert there == {os.getpid()}
    with helper_executor() as executor:
        assert executor is None
    monkeypatch.undo()
    end_helper()


def test_files_in_the_current_folder_are_no_modules(tmp_path, monkeypatch):
    (tmp_path / "cloudpickle.py").write_text("raise RuntimeError('a script of the user')")
    monkeypatch.chdir(tmp_path)
    end_helper()
    with helper_executor() as executor:
        there = set(map_blocks(lambda block: os.getpid(), ONES, job=Job(executor=executor)))
    assert os.getpid() not in there


def test_it_ends_with_the_process_that_it_works_for(tmp_path):
    script = textwrap.dedent(
        """
        import os, sys, time
        from pathlib import Path
        from napari_lucky.execution.blocks import map_blocks
        from napari_lucky.execution.helper import helper_executor, start_helper
        from napari_lucky.execution.job import Job
        folder = Path(sys.argv[1])
        def look(block):
            (folder / str(os.getpid())).touch()
            time.sleep(0.1 * (block.start > 0))
        with helper_executor() as executor:
            blocks = [slice(k, k + 1) for k in range(2000)]
            list(map_blocks(look, blocks, job=Job(executor=executor)))
        """
    )
    path = tmp_path / "napari.py"
    path.write_text(script)
    folder = tmp_path / "pids"
    folder.mkdir()
    started = subprocess.Popen([sys.executable, str(path), str(folder)])
    until(lambda: len(list(folder.iterdir())) > cores())
    started.kill()
    started.wait()
    until(lambda: not any(is_alive(int(one.name)) for one in folder.iterdir()))
