"""Whole jobs in a helper process: bits, errors, cancels, deaths, and work that stays here."""

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
from napari_lucky.execution.helper import (
    CannotBeSent,
    Helper,
    do_in_helper,
    end_helper,
    start_helper,
)
from napari_lucky.execution.job import Cancelled, Job, no_progress

ONES = [slice(k, k + 1) for k in range(24)]

pytest.importorskip("cloudpickle")
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or cores() < 2, reason="copies need Linux and two processors"
)


@pytest.fixture(scope="module", autouse=True)
def helper():
    yield start_helper()
    end_helper()


def do(work, progress=no_progress):
    return do_in_helper(work, progress)


def where(job: Job) -> int:
    return os.getpid()


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


def test_sums_are_those_of_this_process_to_the_bit_and_copies_make_them():
    values = np.random.default_rng(0).normal(0, 1e3, (24, 20_000)).astype(np.float32)

    def add(job: Job) -> tuple[np.ndarray, set[int]]:
        def part(block: slice) -> tuple[np.ndarray, int]:
            return np.sqrt(values[block] ** 2 + 1).sum(axis=0), os.getpid()

        made = list(map_blocks(part, ONES, job=job))
        return sum(one for one, _ in made), {pid for _, pid in made}

    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()
    (here, _), (there, pids) = add(Job()), do(add)
    stop.set()
    other.join()
    assert np.array_equal(here, there)
    assert os.getpid() not in pids
    assert len(pids) > 2
    until(lambda: not any(is_alive(pid) for pid in pids - {start_helper().pid}))


def test_what_a_job_is_given_comes_back_as_itself():
    values, other = np.ones((30, 60, 60), np.float32), np.ones((40, 50, 60))
    back, changed, small = do(lambda job: (values, other + 1, values[:1, 0]))
    assert back is values
    np.testing.assert_array_equal(changed, other + 1)
    changed += 1  # what comes back can be changed
    np.testing.assert_array_equal(small, values[:1, 0])


@pytest.fixture
def sent(monkeypatch):
    """Return what each job sends apart from its function, and the keys of what it uses again."""
    jobs, ask = [], Helper._ask

    def asking(helper, kind, data, parts, used):
        jobs.append((list(parts), used))
        ask(helper, kind, data, parts, used)

    monkeypatch.setattr(Helper, "_ask", asking)
    end_helper()  # it has what other tests have sent
    return jobs


def test_what_either_sent_is_not_sent_again_unless_it_was_changed(sent):
    values = np.ones((200, 100))
    doubled = do(lambda job: 2 * values)
    assert do(lambda job: (doubled + values).sum()) == 60_000
    (first, none), (again, used) = sent
    assert len(first) == 1
    assert none == again == []
    assert len(used) == 2
    values[0], doubled[0] = 5, 0
    assert do(lambda job: (doubled + values).sum()) == 60_200
    assert len(sent[2][0]) == 2


def test_what_is_used_no_longer_is_dropped_there_and_so_is_too_much(sent, monkeypatch):
    monkeypatch.setattr(helper_module, "MOST_KEPT", 400_000)
    values = np.ones((200, 100))
    do(lambda job: values.sum())
    two = [np.ones((200, 110)), np.ones((200, 120))]
    do(lambda job: sum(one.sum() for one in two))
    do(where)
    (first, _), (second, used), (_, left) = sent
    assert used == first
    assert left == second  # the oldest is too much
    two.pop(0)
    do(where)
    assert sent[3] == ([], left[1:])


def test_what_it_has_lost_is_sent_again(sent):
    values = np.ones((200, 100))
    do(lambda job: values.sum())
    other = np.ones((200, 110))
    start_helper()._sent.add({"lost": other})
    with pytest.raises(CannotBeSent):
        do(lambda job: other.sum())
    assert do(lambda job: values.sum() + other.sum()) == 42_000
    assert len(sent[-1][0]) == 2


def test_reports_come_here_and_a_second_job_is_done_here_meanwhile():
    seen = []

    def report(job: Job) -> str:
        for k in range(3):
            job.progress(k, 3, f"stage {k}")
        return "done"

    def progress(*what) -> None:
        seen.append(what)
        with pytest.raises(CannotBeSent):
            do(where)

    assert do(report, progress) == "done"
    assert list(dict.fromkeys(seen)) == [(k, 3, f"stage {k}") for k in range(3)]


@pytest.mark.parametrize("what", ["work", "result", "unknown there", "too large"])
def test_what_cannot_be_sent_is_done_here(monkeypatch, what):
    held = threading.Lock() if what == "work" else np.zeros(20_000)
    if what == "unknown there":
        held = type("Held", (), {"__reduce__": lambda self: (eval, ("1 / 0",))})()
    monkeypatch.setattr(helper_module, "MOST_SENT", 100_000 if what == "too large" else 1 << 27)

    def work(job: Job) -> object:
        assert held is not None
        return threading.Lock() if what == "result" else 1

    with pytest.raises(CannotBeSent):
        do(work)
    assert do(where) == start_helper().pid  # what follows can be


@pytest.mark.parametrize("error", [LuckyError, OSError, EOFError])
def test_an_error_there_is_raised_here(error):
    def fail(job: Job) -> None:
        raise error("AF_3.fits: the pixels cannot be read.")

    with pytest.raises(error, match=r"^AF_3.fits: the pixels cannot be read\."):
        do(fail)
    assert do(where) == start_helper().pid


@pytest.mark.parametrize("reports", [True, False])
def test_a_cancel_ends_the_job_and_the_next_one_is_not_held_up(monkeypatch, reports):
    monkeypatch.setattr(helper_module, "PATIENCE", 120.0 if reports else 0.1)
    pid = do(where)

    def slow(job: Job) -> None:
        for _ in range(10**6 if reports else 1):
            job.progress(0, 1, "waiting")
            time.sleep(0.01 if reports else 120)

    def progress(done: int, total: int, what: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        do(slow, progress)
    assert (do(where) == pid) is reports  # one that does not listen is replaced
    until(lambda: reports or not is_alive(pid))


@pytest.mark.parametrize("who", ["a copy", "the helper"])
def test_a_process_that_is_killed_ends_the_job_and_the_next_one_gets_another(who):
    def die(job: Job) -> None:
        def part(block: slice) -> None:
            if block.start == 9:
                os.kill(os.getpid() if who == "a copy" else os.getppid(), signal.SIGKILL)
                time.sleep(3 if who == "the helper" else 0)

        list(map_blocks(part, ONES, job=job))

    with pytest.raises(LuckyError, match="killed"):
        do(die)
    assert do(where) == start_helper().pid


def test_a_helper_that_does_not_start_leaves_the_work_to_threads(monkeypatch):
    end_helper()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    for _ in range(2):
        with pytest.raises(CannotBeSent):
            do(where)
    monkeypatch.undo()
    end_helper()


def test_files_in_the_current_folder_are_no_modules(tmp_path, monkeypatch):
    (tmp_path / "cloudpickle.py").write_text("raise RuntimeError('a script of the user')")
    monkeypatch.chdir(tmp_path)
    end_helper()
    assert do(where) == start_helper().pid


def test_it_ends_with_the_process_that_it_works_for(tmp_path):
    script = textwrap.dedent(
        """
        import os, sys, time
        from pathlib import Path
        from napari_lucky.execution.blocks import map_blocks
        from napari_lucky.execution.helper import do_in_helper
        folder = Path(sys.argv[1])
        def look(block):
            (folder / str(os.getpid())).touch()
            time.sleep(0.1 * (block.start > 0))
        blocks = [slice(k, k + 1) for k in range(2000)]
        do_in_helper(lambda job: list(map_blocks(look, blocks, job=job)), lambda *_: None)
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


def test_memory_that_a_job_leaves_is_given_back():
    def resident() -> float:
        with open(f"/proc/{start_helper().pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def leave(job: Job) -> float:
        left = [np.ones(20_000) for _ in range(800)]
        left.append(left)
        return float(sum(map(len, left[:-1])))

    do(where)
    before = resident()
    assert do(leave) == 16e6
    until(lambda: resident() < before + 30)
