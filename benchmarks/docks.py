"""Time the jobs of the docks against the same work as the command line does it.

    xvfb-run -a -s "-screen 0 1500x1000x24" python benchmarks/docks.py [--frames 2000]

The work of each dock's job is taken from a real window, timed there from its start to its end,
with the helper process and on threads, and timed again in a process of its own, in copies of
that process, as `napari-lucky process` works. They take turns; the table has the least of each,
and the processor time of all processes together: it depends less on what else runs.
"""

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
METHODS = ("brightest", "centroid", "correlation", "template")
STACKS = ("mean", "median", "clipped", "fourier", "drizzle")


def processor_time() -> float:
    """Return the processor seconds of this process, and of those that it has waited for."""
    return sum(os.times()[:4])


def processor_time_of(pid: int) -> float:
    """Return the same of another process."""
    told = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, told[11:15])) / TICKS


def command_line(path: str) -> None:
    """Do a job that was taken from a dock, twice; print the seconds of the second time, and CPU's.

    The first brings the imports, which napari has by then.
    """
    import cloudpickle  # noqa: F401

    from napari_lucky.execution.job import Job
    from napari_lucky.execution.processes import fork_executor

    for _ in range(2):
        work = pickle.loads(Path(path).read_bytes())
        start, before = time.perf_counter(), processor_time()
        with fork_executor() as executor:
            work(Job(executor=executor))
        took = time.perf_counter() - start, processor_time() - before
    print(*took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=2000, metavar="N")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="jobs whose names have one of these in them")
    given = parser.parse_args()
    import cloudpickle

    from memory import link_run, make
    from napari_lucky.docks import jobs as docks_jobs
    from napari_lucky.execution.helper import CannotBeSent, start_helper
    from viewer import REGISTERED, STACKED, Bench, open_run

    usual, helped = docks_jobs._Worker.work, docks_jobs.do_in_helper
    seen = {}

    def on_threads(work, progress):
        raise CannotBeSent

    def here():
        return processor_time() + processor_time_of(start_helper().pid)

    def timed(worker):
        start, before = time.perf_counter(), here()
        try:
            return usual(worker)
        finally:
            seen["took"] = time.perf_counter() - start, here() - before
            seen["work"] = worker._work

    docks_jobs._Worker.work = timed
    print("| job | window, threads (s) | window (s) | command line (s) | ratio | CPU s of each |")
    print("|---|---:|---:|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frames, _ = make(folder)
        run = link_run(folder, frames, given.frames)
        bench = Bench()
        viewer = bench.viewer

        def row(what, dock, button, *made):
            if given.only and not any(word in what for word in given.only):
                bench.press(dock, button)
                return
            times = {"threads": [], "helper": [], "command line": []}
            for turn in range(given.repeats):
                for where, doing in (("threads", on_threads), ("helper", helped)):
                    docks_jobs.do_in_helper = doing
                    bench.press(dock, button)
                    times[where].append(seen["took"])
                    if (turn, where) != (given.repeats - 1, "helper"):
                        bench.remove(*made)
                (folder / "work").write_bytes(cloudpickle.dumps(seen["work"]))
                command = [sys.executable, __file__, "--work", str(folder / "work")]
                done = subprocess.run(command, check=True, capture_output=True)
                times["command line"].append(tuple(map(float, done.stdout.split()[-2:])))
            least = [[min(one) for one in zip(*values, strict=True)] for values in times.values()]
            (threads, window, line), cpu = zip(*least, strict=True)
            print(
                f"| {what} | {threads:.2f} | {window:.2f} | {line:.2f} | {window / line:.2f} "
                f"| {', '.join(f'{one:.2f}' for one in cpu)} |",
                flush=True,
            )

        open_run(viewer, run)
        calibration = bench.dock("calibration")
        calibration.dark_path.line.value = f"{folder}/dark.fits"
        calibration.flat_path.line.value = f"{folder}/flat.fits"
        row("calibrate", calibration, calibration.run_button, "calibrated")
        registration = bench.dock("registration")
        row("place the window", registration, registration.place_button)
        for method in METHODS:
            registration.forms["register"].method.value = method
            row(f"register, {method}", registration, registration.run_button, *REGISTERED[1:])
            if method != METHODS[-1]:
                bench.remove(*REGISTERED[1:])
        ranking = bench.dock("ranking")
        ranking.image.value = bench.named("calibrated")
        ranking.registration.value = bench.named("shifts")
        row("rank", ranking, ranking.run_button)
        ranking.cut.keep_box.value = 1.0
        stacking = bench.dock("stacking")
        stacking.image.value = bench.named("calibrated")
        stacking.registration.value = bench.named("shifts")
        for method in STACKS:
            stacking.forms["stack"].method.value = method
            row(f"stack, {method}", stacking, stacking.run_button, *STACKED)
            bench.remove(*STACKED)
        viewer.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        command_line(sys.argv[2])
    else:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        main()
