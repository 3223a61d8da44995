"""What an interrupted job has measured is used by the next, to the same bits."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from made_files import link_run
from napari_lucky import Calibrate, LuckyError, Recipe, process, simulate_run
from napari_lucky.cli.main import main
from napari_lucky.execution import Checkpoint
from napari_lucky.execution.blocks import map_blocks, map_blocks_checkpointed
from napari_lucky.execution.checkpoint import checkpoint_path, joined
from napari_lucky.execution.job import Cancelled, Job
from napari_lucky.frames import sensor_image
from napari_lucky.pieces import pieces
from napari_lucky.pipeline.build import INDIFFERENT, build_chain, job_key
from napari_lucky.steps.declaration import params
from systems import on_posix
from written_files import contents

N, FRAMES = 160, 8
BLOCKS = pieces(N, 16)
RESULTS = {"focus.fits", "long_exposure.fits", "frames.csv", "recipe.toml"}


def values(block):
    """Return two measurements of each frame, which no other frame has."""
    return np.sqrt(np.arange(block.start, block.stop)), np.arange(block.start, block.stop) > 50


def stop_at(frame, what="measuring", error=Cancelled):
    """Return a progress that ends a job."""

    def progress(done, total, told):
        if told == what and done >= frame:
            raise error

    return progress


def together(results):
    return [np.concatenate(parts) for parts in zip(*results, strict=True)]


def begin_and_stop(path, frame=80, key="key"):
    """Leave a checkpoint of the first frames."""
    with pytest.raises(Cancelled), Checkpoint(path, every=0) as checkpoint:
        checkpoint.begin(lambda: key)
        job = Job(stop_at(frame), checkpoint=checkpoint)
        list(map_blocks_checkpointed(values, BLOCKS, what="measuring", job=job))


def go_on(path, key="key"):
    """Return results of another job, the blocks that it computed, its progress and notes."""
    computed, told = [], []

    def counted(block):
        computed.append(block)
        return values(block)

    with Checkpoint(path, every=0) as checkpoint:
        checkpoint.begin(lambda: key)
        job = Job(lambda *now: told.append(now[:2]), checkpoint=checkpoint)
        results = list(map_blocks_checkpointed(counted, BLOCKS, what="measuring", job=job))
    return together(results), sorted(computed, key=lambda b: b.start), told, checkpoint.notes


# --- one pass


def test_without_a_checkpoint_it_is_map_blocks():
    ours = together(map_blocks_checkpointed(values, BLOCKS))
    theirs = together(map_blocks(values, BLOCKS))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_was_measured_is_not_measured_again(tmp_path):
    path = tmp_path / "measured.npz"
    begin_and_stop(path)
    results, computed, told, notes = go_on(path)
    for one, other in zip(results, together(map(values, BLOCKS)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert computed == BLOCKS[5:]
    assert (told[0], told[-1]) == ((80, N), (N, N))
    assert len(notes) == 1
    assert "Continued from frame 80 of 160" in notes[0]
    assert list(tmp_path.iterdir()) == []  # gone with the job's end


def test_a_job_may_be_interrupted_again_and_again(tmp_path):
    path = tmp_path / "measured.npz"
    for frame in (16, 48, 128):
        begin_and_stop(path, frame)
    results, computed, _, _ = go_on(path)
    assert computed == BLOCKS[8:]
    np.testing.assert_array_equal(results[0], np.sqrt(np.arange(N)))


def test_a_job_of_another_key_is_not_used_and_reported(tmp_path):
    path = tmp_path / "measured.npz"
    begin_and_stop(path)
    _, computed, _, notes = go_on(path, "another")
    assert computed == BLOCKS
    assert ["other frames or parameters" in note for note in notes] == [True]


@pytest.mark.parametrize("damage", [b"", b"not a file of arrays", None])
def test_a_damaged_file_is_not_used_and_reported(tmp_path, damage):
    path = tmp_path / "measured.npz"
    begin_and_stop(path)
    path.write_bytes(path.read_bytes()[:-40] if damage is None else damage)
    results, computed, _, notes = go_on(path)
    assert computed == BLOCKS
    assert ["damaged, or made elsewhere" in note for note in notes] == [True]
    np.testing.assert_array_equal(results[0], np.sqrt(np.arange(N)))


def kept_by_the_user(path):
    np.savez(path, mine=np.arange(3))


def kept_by_another_job(path):
    begin_and_stop(path, key="another")


@pytest.mark.parametrize("keep", [kept_by_the_user, kept_by_another_job])
def test_what_others_keep_there_stays(tmp_path, keep):
    path = tmp_path / "out.measured.npz"
    keep(path)
    before = path.read_bytes()
    begin_and_stop(path)
    assert path.read_bytes() == before
    results, computed, _, notes = go_on(path)
    assert computed == BLOCKS[5:]
    assert ["Continued from frame 80" in note for note in notes] == [False, True]
    np.testing.assert_array_equal(results[0], np.sqrt(np.arange(N)))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@on_posix
def test_links_are_not_followed(tmp_path):
    """Neither the file's name nor that of a file on its way there leads to a file of the user's."""
    path, mine = tmp_path / "out.measured.npz", tmp_path / "mine"
    mine.write_text("a night's work")
    path.symlink_to(mine)
    (tmp_path / ".out.measured.npz.part").symlink_to(mine)
    begin_and_stop(path)
    assert go_on(path)[1] == BLOCKS[5:]
    assert mine.read_text() == "a night's work"
    assert path.is_symlink()


def test_two_jobs_at_once_do_not_spoil_each_other(tmp_path):
    path = tmp_path / "out.measured.npz"
    with (
        pytest.raises(Cancelled),
        Checkpoint(path, every=0) as one,
        Checkpoint(path, every=0) as two,
    ):
        for checkpoint, key in ((one, "one"), (two, "two")):
            checkpoint.begin(key.__str__)
            checkpoint.recall("measuring", BLOCKS, joined)
        for block in BLOCKS[:4]:
            for checkpoint in (one, two):
                checkpoint.add(block.stop, values(block))
        raise Cancelled
    assert one.path != two.path
    for key in ("one", "two"):
        _, computed, _, notes = go_on(path, key)
        assert computed == BLOCKS[4:], notes


def test_the_second_of_two_jobs_removes_its_file_when_the_first_has_ended(tmp_path):
    """The name that becomes free on the way is not taken: its own file would stay."""
    path = tmp_path / "out.measured.npz"
    kept_by_the_user(path)
    with Checkpoint(path, every=0) as two:
        with Checkpoint(path, every=0) as one:
            for checkpoint, key in ((one, "one"), (two, "two")):
                checkpoint.begin(key.__str__)
                checkpoint.recall("measuring", BLOCKS, joined)
                checkpoint.add(16, values(BLOCKS[0]))
        two.add(32, values(BLOCKS[1]))
        assert [one.path.exists(), two.path.exists()] == [False, True]
    assert list(tmp_path.iterdir()) == [path]


def test_running_sums_go_on_to_the_same_bits(tmp_path):
    """A pass may hand on sums: they are kept as one, and added from the left."""
    noise = np.random.default_rng(0).normal(0, 1e3, (N, 50)).astype(np.float32)

    def add(block):
        return noise[block].sum(axis=0)

    def summed(parts):
        total = np.zeros(50, np.float32)
        for part in parts:
            total += part
        return total

    def add_until(frame):
        with Checkpoint(tmp_path / "measured.npz", every=0) as checkpoint:
            checkpoint.begin(lambda: "key")
            job = Job(stop_at(frame), checkpoint=checkpoint)
            return summed(
                map_blocks_checkpointed(add, BLOCKS, join=summed, what="measuring", job=job)
            )

    for frame in (32, 112):
        with pytest.raises(Cancelled):
            add_until(frame)
        with np.load(tmp_path / "measured.npz") as saved:
            assert saved["0_0"].shape == (50,)
    np.testing.assert_array_equal(add_until(N + 1), summed(map(add, BLOCKS)))


def test_passes_of_one_name_are_not_mistaken_for_each_other(tmp_path):
    path = tmp_path / "measured.npz"

    def numbers(block):
        return np.arange(block.start, block.stop)

    def two_passes(last):
        with Checkpoint(path, every=0) as checkpoint:
            checkpoint.begin(lambda: "key")
            job = Job(checkpoint=checkpoint)
            passes = [
                list(map_blocks_checkpointed(function, BLOCKS, what="measuring", job=job))
                for function in (numbers, last)
            ]
        return [np.concatenate(parts) for parts in passes]

    def fail(block):
        if block.start == 48:
            raise Cancelled
        return -numbers(block)

    with pytest.raises(Cancelled):
        two_passes(fail)
    first, second = two_passes(lambda block: -numbers(block))
    np.testing.assert_array_equal(first, np.arange(N))
    np.testing.assert_array_equal(second, -np.arange(N))


def test_a_place_that_cannot_be_written_is_reported_and_ends_no_job(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with Checkpoint(tmp_path / "file" / "measured.npz", every=0) as checkpoint:
        checkpoint.begin(lambda: "key")
        done = list(map_blocks_checkpointed(values, BLOCKS, job=Job(checkpoint=checkpoint)))
    assert len(done) == len(BLOCKS)
    assert len(checkpoint.notes) == 1
    assert "could not be saved" in checkpoint.notes[0]


def test_a_short_job_writes_nothing_and_reads_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoint, "_write", lambda self: pytest.fail("it wrote"))
    with Checkpoint(tmp_path / "measured.npz") as checkpoint:
        checkpoint.begin(lambda: pytest.fail("it looked through the files"))
        list(map_blocks_checkpointed(values, BLOCKS, job=Job(checkpoint=checkpoint)))
    with pytest.raises(Cancelled), Checkpoint(tmp_path / "measured.npz") as checkpoint:
        checkpoint.begin(lambda: "")
        list(
            map_blocks_checkpointed(
                values,
                BLOCKS,
                what="measuring",
                job=Job(checkpoint=checkpoint, progress=stop_at(80)),
            )
        )
    assert list(tmp_path.iterdir()) == []


def test_where_it_is_kept(tmp_path, monkeypatch):
    assert checkpoint_path(tmp_path / "out") == tmp_path / "out.measured.npz"
    monkeypatch.chdir(tmp_path)
    assert checkpoint_path(tmp_path / ".").parent == tmp_path.parent
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert str(checkpoint_path(type(tmp_path)(".."))) == str(tmp_path / "a.measured.npz")


# --- the main job


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of many links to few frames, its dark and flat, and a recipe."""
    folder = tmp_path_factory.mktemp("data")
    made = simulate_run(FRAMES, (200, 400), d_over_r0=2.5, photons=3e5, seed=3)
    link_run(folder, made, N)
    return folder, (*made.focus[:2], 64)


def recipe_of(run, **changes):
    folder, focus = run
    masters = Calibrate(dark=folder / "dark.fits", flat=folder / "flat.fits")
    return Recipe(folder / "run", masters, focus=focus).updated(**changes)


def command(run, out):
    folder, focus = run
    masters = ["--dark", folder / "dark.fits", "--flat", folder / "flat.fits"]
    window = ["--focus", ",".join(map(str, focus))]
    return [str(a) for a in ["process", folder / "run", *masters, *window, "-o", out]]


def assert_same(one, other):
    np.testing.assert_array_equal(one.table.shifts, other.table.shifts)
    np.testing.assert_array_equal(one.table.quality, other.table.quality)
    for name, image in one.images.items():
        np.testing.assert_array_equal(image.data, other.images[name].data)
        np.testing.assert_array_equal(image.variance, other.images[name].variance)


def interrupted(recipe, path, what="tracking and ranking", frame=64):
    with pytest.raises(Cancelled), Checkpoint(path, every=0) as checkpoint:
        process(recipe, job=Job(progress=stop_at(frame, what), checkpoint=checkpoint))
    assert path.exists()


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ("brightest", "tracking and ranking"),
        ("brightest", "stacking focus"),
        ("centroid", "tracking the centroid"),
        ("correlation", "correlating with the reference"),
        ("template", "fitting the template"),
    ],
)
def test_a_job_goes_on_to_the_same_bits(run, tmp_path, method, what):
    recipe, path = recipe_of(run, register={"method": method}), tmp_path / "measured.npz"
    whole = process(recipe)
    interrupted(recipe, path, what, frame=1)
    with Checkpoint(path) as checkpoint:
        again = process(recipe, job=Job(checkpoint=checkpoint))
    assert sum("Continued from frame" in note for note in again.notes) == 1
    assert_same(whole, again)
    assert not path.exists()


@pytest.mark.parametrize(
    "change", [{"select": {"keep": 7}}, {"stack": {"method": "median"}}, {"select": {"drop": (3,)}}]
)
def test_what_measurements_do_not_depend_on_may_change(run, tmp_path, change):
    path = tmp_path / "measured.npz"
    interrupted(recipe_of(run), path)
    with Checkpoint(path) as checkpoint:
        again = process(recipe_of(run, **change), job=Job(checkpoint=checkpoint))
    assert any("Continued from" in note for note in again.notes)
    assert_same(process(recipe_of(run, **change)), again)


@pytest.mark.parametrize(
    "change",
    [
        {"register": {"smooth": 3.0}},
        {"rank": {"smooth": 2.0}},
        {"rank": {"metric": "gradient"}},
        {"input": {"stop": N - 1}},
        {"calibrate": {"dark": None}},
    ],
)
def test_what_they_depend_on_may_not(run, tmp_path, change):
    path = tmp_path / "measured.npz"
    interrupted(recipe_of(run), path)
    with Checkpoint(path) as checkpoint:
        again = process(recipe_of(run, **change), job=Job(checkpoint=checkpoint))
    assert any("were not used" in note for note in again.notes)
    assert_same(process(recipe_of(run, **change)), again)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (
            {"register": {"method": "correlation", "reference_frame": "first"}},
            {"register": {"method": "correlation", "reference_frame": "3"}},
        ),
        (
            {"rank": {"metric": "psf-correlation", "sampling": 3.0}},
            {"rank": {"metric": "psf-correlation", "sampling": 3.0, "obstruction": 0.4}},
        ),
    ],
)
def test_another_reference_or_psf_gives_its_own_measurements(run, tmp_path, before, now):
    path = tmp_path / "measured.npz"
    interrupted(recipe_of(run, **before), path)
    with Checkpoint(path) as checkpoint:
        again = process(recipe_of(run, **{**before, **now}), job=Job(checkpoint=checkpoint))
    assert any("were not used" in note for note in again.notes)
    assert_same(process(recipe_of(run, **{**before, **now})), again)


CLEANING = {
    "background": {"order": 1},
    "dust": {"count": 1, "radius": 5.0, "action": "mask"},
    "outliers": {"sigma": 8.0},
    "flicker": {"sigma": 8.0},
    "noise_cut": {"sigma": 2.0},
    "low_pass": {"cutoff": 0.3},
}


def test_with_all_cleaning_a_job_goes_on_too(run, tmp_path):
    """Backgrounds that were fitted, and whatever else views keep at hand, are not in the key."""
    recipe, path = recipe_of(run, input={"stop": 8}, **CLEANING), tmp_path / "measured.npz"
    interrupted(recipe, path, frame=1)
    with Checkpoint(path) as checkpoint:
        again = process(recipe, job=Job(checkpoint=checkpoint))
    assert sum("Continued from frame" in note for note in again.notes) == 1
    chain = build_chain(recipe)
    key = job_key(chain)
    chain.frames.read(slice(0, 2))
    assert job_key(chain) == key


def test_dust_that_is_divided_out_of_a_large_sensor_is_in_the_key(run, monkeypatch):
    """Its transmission is no array there: it is computed where it is read."""
    monkeypatch.setattr(sensor_image, "LARGE", 1000)
    spots = [{"spots": [[20.0, x, 5.0]]} for x in (30.0, 30.0, 32.0)]
    made = [job_key(build_chain(recipe_of(run, input={"stop": 8}, dust=one))) for one in spots]
    assert made[0] == made[1] != made[2]


@pytest.mark.filterwarnings("ignore:Pydantic serializer")  # of what is not checked here
def test_every_parameter_that_decides_is_in_the_key(run):
    """Whatever parameters a recipe will have."""
    chain = build_chain(recipe_of(run, input={"stop": 8}, **CLEANING))
    key = job_key(chain)
    for step in chain.recipe.steps:
        for name, one in params(type(step)).items():
            if one.path or name in ("start", "stop", "step"):
                continue  # what is in the files, and which frames are used, counts
            other = step.model_copy(update={name: "another value"})  # not checked
            changed = replace(chain, recipe=chain.recipe.with_steps(other))
            same = job_key(changed) == key
            assert same == (step.table in INDIFFERENT), (step.table, name)
    assert job_key(replace(chain, chosen=chain.chosen + 1)) != key


def test_files_that_were_touched_are_measured_again(run, tmp_path):
    path = tmp_path / "measured.npz"
    interrupted(recipe_of(run), path)
    touched = run[0] / "run" / "AF_3.fits"
    before = touched.stat()
    try:
        os.utime(touched, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
        with Checkpoint(path) as checkpoint:
            again = process(recipe_of(run), job=Job(checkpoint=checkpoint))
    finally:
        os.utime(touched, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert any("were not used" in note for note in again.notes)


def test_an_error_leaves_what_was_measured(run, tmp_path):
    path = tmp_path / "measured.npz"
    error = LuckyError("the disk went away")
    with pytest.raises(LuckyError) as raised, Checkpoint(path, every=0) as checkpoint:
        process(
            recipe_of(run),
            job=Job(progress=stop_at(64, "tracking and ranking", error), checkpoint=checkpoint),
        )
    assert path.exists()
    assert str(raised.value).startswith(f"the disk went away The measurements are kept in {path}")


# --- the command line


@pytest.fixture(scope="module")
def full(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("full") / "out"
    assert main(command(run, out)) == 0
    return contents(out)


SCRIPT = """
import os, signal, sys
from napari_lucky.cli import main as cli, terminal
from napari_lucky.execution import checkpoint
from napari_lucky.pipeline import results_folder as outputs

checkpoint.Checkpoint.__init__.__defaults__ = (0.0,)  # written after each block

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def at_ranking(self, done, total, what):
    if what == "tracking and ranking" and done >= 64:
        die()

if sys.argv[1] == "measuring":
    terminal.Meter.__call__ = at_ranking
else:
    outputs.write_text = die
cli.main(sys.argv[2:])
"""


@on_posix
@pytest.mark.parametrize("when", ["measuring", "writing"])
def test_a_killed_job_leaves_no_result_and_goes_on_to_the_same_files(
    run, full, tmp_path, capsys, when
):
    out = tmp_path / "out"
    made = subprocess.run([sys.executable, "-c", SCRIPT, when, *command(run, out)], timeout=600)
    assert made.returncode == -signal.SIGKILL
    assert (tmp_path / "out.measured.npz").exists()
    assert not out.exists() or not RESULTS & {p.name for p in out.iterdir()}
    assert main(command(run, out)) == 0
    assert "Continued from frame" in capsys.readouterr().err
    ours = contents(out) if when == "measuring" else {n: contents(out)[n] for n in RESULTS}
    assert ours == full
    assert not (tmp_path / "out.measured.npz").exists()


def test_an_interrupt_tells_what_is_kept(run, full, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Checkpoint.__init__, "__defaults__", (0.0,))
    with monkeypatch.context() as patch:
        stop = stop_at(64, "tracking and ranking", KeyboardInterrupt)
        patch.setattr("napari_lucky.cli.terminal.Meter.__call__", lambda self, *told: stop(*told))
        assert main(command(run, tmp_path / "out")) == 130
    told = capsys.readouterr().err
    assert str(tmp_path / "out.measured.npz") in told
    assert "nothing was written" not in told
    assert [p.name for p in tmp_path.iterdir()] == ["out.measured.npz"]
    assert main(command(run, tmp_path / "out")) == 0
    assert "Continued from frame 64" in capsys.readouterr().err
    assert contents(tmp_path / "out") == full


@pytest.mark.parametrize("options", [[], ["--smooth", "3"]])
def test_a_job_that_comes_second_leaves_nothing_beside_the_results(
    run, full, tmp_path, capsys, monkeypatch, options
):
    """Another job, the same or not, begins and ends while this one is at work."""
    out = tmp_path / "out"
    monkeypatch.setattr(Checkpoint.__init__, "__defaults__", (0.0,))
    with monkeypatch.context() as patch:

        def meanwhile(_, done, total, what):
            if what == "tracking and ranking" and done >= 64:
                patch.setattr("napari_lucky.cli.terminal.Meter.__call__", lambda *told: None)
                assert main(command(run, out)) == 0

        patch.setattr("napari_lucky.cli.terminal.Meter.__call__", meanwhile)
        assert main([*command(run, out), *options]) == 2
    assert "already holds results" in capsys.readouterr().err
    assert contents(out) == full
    assert list(tmp_path.iterdir()) == [out]
