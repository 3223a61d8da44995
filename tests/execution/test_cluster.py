"""The same blocks on a real cluster of two worker processes: bits, deaths, errors, refusals."""

import gzip
import logging
import os
import pickle
import signal
import socket
import sys
import time
from concurrent.futures import Future

import numpy as np
import pytest
from astropy.io import fits

import napari_lucky as lucky
from made_files import link_run
from napari_lucky import Calibrate, LuckyError, Recipe, open_run, process, simulate_run
from napari_lucky.cli.main import main
from napari_lucky.execution import cluster_executor
from napari_lucky.execution.blocks import bundled, map_blocks
from napari_lucky.execution.cluster import ClusterExecutor, SentFunction, call
from napari_lucky.execution.job import Cancelled, Job
from napari_lucky.execution.packing import Part, pack
from napari_lucky.pipeline.recipe import recipe_to_toml
from napari_lucky.steps import Input
from written_files import contents

distributed = pytest.importorskip("distributed")

N, FRAMES = 64, 16
ONES = [slice(k, k + 1) for k in range(60)]


PATIENCE = 600
"""Seconds: a busy machine may need long to start a process."""


def two_workers():
    """Start a cluster on this machine."""
    options = {"processes": True, "dashboard_address": ":0", "silence_logs": 50}
    # its message on lost results has a wrong format, which pytest turns into an error
    logging.getLogger("distributed.scheduler").setLevel(logging.CRITICAL)
    return distributed.LocalCluster(n_workers=2, threads_per_worker=1, **options)


@pytest.fixture(scope="module")
def cluster():
    with two_workers() as made:
        yield made


@pytest.fixture
def mortal_cluster():
    """One whose workers may be killed: on a busy machine they may not come back."""
    with two_workers() as made:
        yield made
        made.wait_for_workers(2, timeout=PATIENCE)  # it cannot be closed while one is started


def connected(cluster):
    return cluster_executor(cluster.scheduler_address, patience=PATIENCE)


@pytest.fixture
def executor(cluster):
    with connected(cluster) as made:
        made._client.wait_for_workers(2, timeout=PATIENCE)
        yield made


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of many links to few frames, its dark and flat, and a recipe."""
    folder = tmp_path_factory.mktemp("data")
    made = simulate_run(FRAMES, (200, 400), d_over_r0=2.5, photons=3e5, seed=3)
    link_run(folder, made, N)
    fits.PrimaryHDU(made.frames).writeto(folder / "cube.fits")
    with open(folder / "cube.fits", "rb") as plain, gzip.open(folder / "cube.fits.gz", "wb") as to:
        to.write(plain.read())
    return folder, made


@pytest.fixture(scope="module")
def recipe(run):
    folder, made = run
    files = {"dark": str(folder / "dark.fits"), "flat": str(folder / "flat.fits")}
    return Recipe(folder / "run", Calibrate(**files), focus=(*made.focus[:2], 64))


def assert_same(one, other):
    np.testing.assert_array_equal(one.table.shifts, other.table.shifts)
    np.testing.assert_array_equal(one.table.quality, other.table.quality)
    assert one.images.keys() == other.images.keys()
    for name, image in one.images.items():
        np.testing.assert_array_equal(image.data, other.images[name].data)
        np.testing.assert_array_equal(image.variance, other.images[name].variance)
        np.testing.assert_array_equal(image.coverage, other.images[name].coverage)
    assert one.notes == other.notes


def slow(block):
    time.sleep(0.05)
    return block.start, os.getpid()


# --- the same results


@pytest.mark.parametrize(
    "change",
    [
        {"input": {"focus": None}},
        {
            "register": {"method": "template"},
            "stack": {"method": "median"},
            "select": {"keep": 9},
        },
        {
            "register": {"method": "correlation"},
            "stack": {"method": "fourier", "fraction": 0.3},
            "input": {"stop": 24},
        },
        {
            "stack": {"method": "weighted"},
            "outliers": {},
            "calibrate": {"dark": None},
            "low_pass": {"cutoff": 0.3},
            "input": {"stop": 12},
        },
    ],
)
def test_results_are_those_of_one_machine_to_the_bit(executor, recipe, run, change):
    changed = recipe.changed(Input, defocus=run[1].defocus).updated(**change)
    local = process(changed)
    assert_same(local, process(changed, job=Job(executor=executor)))


@pytest.mark.parametrize("name", ["cube.fits", "cube.fits.gz"])
def test_cubes_are_read_by_the_workers(executor, run, name):
    frames = open_run(run[0] / name)
    window = lucky.Window.centred(*run[1].focus[:2], 64)
    frames.read(slice(0, 1), window)  # opened here, before it is sent
    local = lucky.rank(frames, window)
    np.testing.assert_array_equal(local, lucky.rank(frames, window, job=Job(executor=executor)))


def test_relative_paths_are_understood_where_the_workers_are(executor, recipe, run, monkeypatch):
    monkeypatch.chdir(run[0])
    masters = {"dark": "dark.fits", "flat": "flat.fits"}
    near = recipe.updated(input={"frames": ["run"]}, calibrate=masters)
    assert_same(process(recipe), process(near, job=Job(executor=executor)))


def test_the_workers_do_the_work_both_of_them(executor):
    pids = {pid for _, pid in map_blocks(slow, ONES, job=Job(executor=executor))}
    assert len(pids) == 2
    assert os.getpid() not in pids


# --- a worker dies


def kill_a_worker(cluster):
    os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)


def test_a_worker_killed_in_mid_run_costs_no_block(mortal_cluster):
    killed, found = [], []
    with connected(mortal_cluster) as executor:
        for start, pid in map_blocks(slow, ONES, job=Job(executor=executor)):
            found.append(start)
            if not killed:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
    assert found == list(range(len(ONES)))


def test_a_worker_killed_in_mid_run_changes_no_bit(mortal_cluster, recipe):
    killed = []

    def kill(done, total, what):
        if what == "tracking and ranking" and done > 0 and not killed:
            kill_a_worker(mortal_cluster)
            killed.append(what)

    with connected(mortal_cluster) as executor:
        result = process(recipe, job=Job(progress=kill, executor=executor))
    assert killed
    assert_same(process(recipe), result)


def test_frames_that_kill_every_worker_are_reported(mortal_cluster):
    with (
        pytest.raises(LuckyError, match="several workers died"),
        connected(mortal_cluster) as executor,
    ):
        list(
            map_blocks(
                lambda _: os.kill(os.getpid(), signal.SIGKILL), ONES[:1], job=Job(executor=executor)
            )
        )


# --- errors, progress, cancelling


def test_errors_are_those_of_one_machine(executor, recipe, run, tmp_path):
    for k in range(FRAMES):
        fits.PrimaryHDU(run[1].frames[k]).writeto(tmp_path / f"AF_{k}.fits")
    frames = open_run(tmp_path)
    (tmp_path / "AF_2.fits").unlink()
    window = lucky.Window.centred(*run[1].focus[:2], 64)
    with pytest.raises(LuckyError) as local:
        lucky.rank(frames, window)
    with pytest.raises(LuckyError) as there:
        lucky.rank(frames, window, job=Job(executor=executor))
    assert str(there.value) == str(local.value)
    with pytest.raises(ZeroDivisionError):  # and the cluster goes on
        list(map_blocks(lambda block: 1 / block.start, ONES, job=Job(executor=executor)))
    assert list(map_blocks(lambda block: block.start, ONES, job=Job(executor=executor)))[-1] == 59


def test_progress_counts_and_a_cancel_does_not_wait(executor):
    told = []

    def cancel(done, total, what):
        told.append((done, total, what))
        if done >= 8:
            raise Cancelled

    def long(block):
        time.sleep(0.01 if block.start < 8 else 0.25)
        return block.start

    with pytest.raises(Cancelled):
        list(map_blocks(long, ONES, job=Job(progress=cancel, executor=executor), what="waiting"))
    assert told[0] == (0, 60, "waiting")
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert 4 <= told[-1][0] <= 8


def test_memory_is_bounded_by_the_clusters_size(executor):
    assert executor.at_once <= 4 * 2
    assert max(len(bundle) for bundle in bundled(ONES, executor)) <= 4


# --- what travels


def test_what_is_large_travels_once(run):
    dark = np.random.default_rng(0).normal(size=(200, 400)).astype(np.float32)
    frames = open_run(run[0] / "run")
    view = lucky.calibration.Calibrated(frames, dark)
    window = lucky.Window(0, 0, 64, 64)

    def one(block):
        return view.read(block, window)

    def other(block):
        return -view.read(block, window)

    first = pack(one, {})
    assert len(first.data) < 4000
    assert sum(map(len, first.parts.values())) == pytest.approx(dark.nbytes, rel=0.5)
    again = pack(other, first.large)
    assert again.large.keys() == first.parts.keys() and not again.parts
    assert len(again.data) < 4000
    sent = {key: Part(part) for key, part in first.parts.items()}
    for packed, function in ((first, one), (again, other)):
        there = pickle.loads(pickle.dumps(SentFunction(packed.data, tuple(sent))))
        block = call((slice(3, 5),), {}, there, *sent.values())
        np.testing.assert_array_equal(block, function(slice(3, 5)))


def test_arrays_that_changed_travel_again():
    values = np.zeros(100_000)
    first = pack(lambda: values, {}).parts
    values[7] = 1
    assert pack(lambda: values, {}).parts.keys() != first.keys()


def test_what_travels_is_not_copied_before():
    """A copy of a run in memory would keep the window waiting."""
    whole = np.arange(400_000.0).reshape(400, 1000)
    for values in (whole, whole[:, ::2]):
        (part,) = pack(lambda values=values: values, {}).parts.values()
        assert len(part.data) < 300
        assert np.shares_memory(part.load(), whole) == (values is whole)
        there = pickle.loads(pickle.dumps(part, protocol=5))
        np.testing.assert_array_equal(Part(there).value, values)


def test_an_image_that_stands_for_many_travels_as_one():
    mask = np.random.default_rng(0).random((200, 300)) > 0.5
    many = np.broadcast_to(mask, (10_000, 200, 300))
    packed = pack(lambda: many, {})
    assert len(packed.data) + sum(map(len, packed.parts.values())) < 2 * mask.nbytes
    sent = [Part(part) for part in packed.parts.values()]
    back = call((), {}, SentFunction(packed.data, tuple(packed.parts)), *sent)
    assert back.shape == many.shape
    np.testing.assert_array_equal(back[123], mask)


def test_a_function_is_sent_once_and_each_block_is_small(executor, run):
    """What the client submits for each block is a hundredth of what the function holds."""
    dark = np.zeros((1000, 1000), np.float32)
    submitted = []

    class Counting:
        bundle, at_once = executor.bundle, 4

        def submit(self, function, bundle) -> Future:
            executor.submit(function, bundle).result()
            submitted.append(len(pickle.dumps(((bundle,), {}))))
            return executor.submit(function, bundle)

    before = len(executor._parts)
    assert list(map_blocks(lambda block: dark[0, block.start], ONES, job=Job(executor=Counting())))
    assert len(executor._parts) == before + 1
    assert max(submitted) < 300


# --- refusals


@pytest.mark.parametrize("address", ["", "host", "host:8786", "tcp://host", "tcp://:1", "8786"])
def test_what_is_no_address_is_refused(address):
    with (
        pytest.raises(LuckyError, match="not the address of a scheduler"),
        cluster_executor(address),
    ):
        pass


def test_nobody_answers():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(LuckyError, match="no scheduler answers"), cluster_executor(address, 0.5):
        pass


def test_a_scheduler_without_workers():
    options = {"processes": True, "dashboard_address": ":0", "silence_logs": 50}
    with (
        distributed.LocalCluster(n_workers=0, **options) as empty,
        pytest.raises(LuckyError, match="has no worker"),
        cluster_executor(empty.scheduler_address, 0.5),
    ):
        pass


def test_the_package_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    told = r"pip install napari-lucky\[distributed\]"
    with pytest.raises(LuckyError, match=told), cluster_executor("tcp://127.0.0.1:1"):
        pass


def test_workers_of_another_version(cluster, monkeypatch):
    monkeypatch.setattr("napari_lucky.execution.cluster.__version__", "9.9")
    with (
        pytest.raises(LuckyError, match=r"here it is 9\.9"),
        cluster_executor(cluster.scheduler_address),
    ):
        pass


# --- the command line


def test_scheduler_on_the_command_line(cluster, recipe, tmp_path, capsys):
    (tmp_path / "recipe.toml").write_text(recipe_to_toml(recipe))
    arguments = ["process", "--recipe", str(tmp_path / "recipe.toml"), "-o"]
    assert main([*arguments, str(tmp_path / "here")]) == 0
    there = [str(tmp_path / "there"), "--scheduler", cluster.scheduler_address]
    assert main([*arguments, *there]) == 0
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    assert main([*arguments, str(tmp_path / "out"), "--scheduler", "nowhere"]) == 2
    assert "not the address of a scheduler" in capsys.readouterr().err


def test_a_scheduler_that_is_gone_is_not_waited_for():
    """It may be lost at any time: what counts its workers goes on with those known."""

    class Lost:
        def nthreads(self, *, callback_timeout):
            assert callback_timeout <= 5
            raise TimeoutError

    assert ClusterExecutor(Lost()).at_once == 2
