"""What a run costs on a dask.distributed cluster: time a frame and a task, and bytes moved.

    python benchmarks/cluster.py [--frames 1000 3000] [--folder /tmp]

Two workers of one thread each, in processes of their own on this machine, process a run of
1280 x 1024 frames (hard links to twenty) with dark and flat, a focused window of 128 px and a
defocused one of 256 px, 1 % kept, as `napari-lucky process --scheduler` does; beside them one
thread, and threads, of one process do the same. What a frame costs is the slope between two lengths
of run, of wall time and of the processors' time, here and in the workers.
"""

import argparse
import multiprocessing
import os
import pickle
import tempfile
import time
from collections import Counter
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from distributed import LocalCluster

import napari_lucky as lucky
from memory import link_run, make
from napari_lucky import Calibrate, Select
from napari_lucky.execution import cluster
from napari_lucky.execution.blocks import map_blocks
from napari_lucky.execution.job import Job

EMPTY = 400
FOR_WORKERS = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": "134217728",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
}
"""Without the last two, arrays go back to the system after use: docs/background/performance.md."""


class Counting(Executor):
    """Counts what travels, each pass by itself."""

    def __init__(self, executor):
        self.executor = executor
        self.bundle = executor.bundle
        self.what = ""
        self.once, self.sent, self.back, self.tasks = (Counter() for _ in range(4))
        self._function, self._parts, self._runs = None, set(), {}

    @property
    def at_once(self):
        return self.executor.at_once

    def submit(self, function, bundle):
        if function is not self._function:
            self._function = function
            packed = cluster.pack(function, self._runs)
            self.once[self.what] += len(packed.data)
            new = packed.parts.keys() - self._parts
            self.once[self.what] += sum(len(pickle.dumps(packed.parts[key], 5)) for key in new)
            self._parts |= new
        what = self.what
        self.sent[what] += len(pickle.dumps((cluster.call, (bundle,), {})))
        self.tasks[what] += 1
        made = self.executor.submit(function, bundle)
        made.add_done_callback(lambda done: self._count(what, done))
        return made

    def _count(self, what, done):
        self.back[what] += len(pickle.dumps(done.result(), protocol=5))


def job(run: Path, options: dict, executor, progress=lambda *_: None) -> np.ndarray:
    """Process a run; return seconds: wall, processor here, processors of the workers."""
    begun = clocks(executor)
    masters = Calibrate(dark=options["dark"], flat=options["flat"])
    windows = {name: options[name] for name in ("focus", "defocus")}
    lucky.process(
        lucky.Recipe((str(run),), masters, Select(keep=0.01), **windows),
        job=Job(executor=executor, progress=progress),
    )
    return clocks(executor) - begun


def clocks(executor) -> np.ndarray:
    client = getattr(executor, "_client", None)
    there = 0.0 if client is None else sum(client.run(time.process_time).values())
    return np.array([time.perf_counter(), time.process_time(), there])


def bytes_read() -> int:
    """Return how many bytes this process has read from files so far."""
    return int(Path("/proc/self/io").read_text().split()[1])


def print_times(runs: list[Path], lengths: list[int], options: dict, address: str) -> None:
    print("| where | wall, a frame (ms) | processor here (ms) | workers' (ms) | once (s) |")
    print("|---|---:|---:|---:|---:|")
    for name, place in [
        ("one thread", lambda: ThreadPoolExecutor(1)),
        ("threads, one a core", lambda: nullcontext(None)),
        ("cluster, two workers of one thread", lambda: cluster.cluster_executor(address)),
    ]:
        with place() as executor:
            job(runs[0], options, executor)  # imports
            seconds = [
                np.min([job(run, options, executor) for _ in range(3)], axis=0) for run in runs
            ]
        slope = (seconds[1] - seconds[0]) / (lengths[1] - lengths[0])
        wall, here, there = 1e3 * slope
        once = seconds[0][0] - lengths[0] * slope[0]
        print(f"| {name} | {wall:.2f} | {here:.2f} | {there:.2f} | {once:.1f} |", flush=True)


def print_bytes(run: Path, n: int, options: dict, address: str) -> None:
    with cluster.cluster_executor(address) as executor:
        counting = Counting(executor)

        def progress(done, total, what):
            counting.what = what

        job(run, options, counting, progress)
    print("\n| pass | tasks | once (kB) | sent a task (B) | back a task (kB) | back a frame (kB) |")
    print("|---|---:|---:|---:|---:|---:|")
    for what, tasks in counting.tasks.items():
        once, sent, back = (c[what] for c in (counting.once, counting.sent, counting.back))
        print(
            f"| {what} | {tasks} | {once / 1e3:.1f} | {sent / tasks:.0f} "
            f"| {back / tasks / 1e3:.1f} | {back / n / 1e3:.2f} |"
        )
    total = sum(counting.back.values()) + sum(counting.sent.values())
    print(f"| all | {sum(counting.tasks.values())} | {sum(counting.once.values()) / 1e3:.1f} | | | "
          f"{total / n / 1e3:.2f} |")  # fmt: skip


def tell_tasks(address: str) -> None:
    """Print what a task costs that does nothing."""
    with cluster.cluster_executor(address) as executor:
        blocks = [slice(k, k + 1) for k in range(EMPTY)]
        executor.bundle = 1  # a task a block
        list(map_blocks(lambda block: None, blocks[:20], job=Job(executor=executor)))
        begun, used = time.perf_counter(), time.process_time()
        list(map_blocks(lambda block: None, blocks, job=Job(executor=executor)))
        task = (time.perf_counter() - begun) / EMPTY
        client = (time.process_time() - used) / EMPTY
    print(
        f"\nAn empty task: {1e3 * task:.2f} ms, of which the client's processor {1e3 * client:.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs=2, default=[1000, 3000], metavar="N")
    parser.add_argument("--folder", type=Path, help="where some 60 MB of files may be put")
    given = parser.parse_args()
    os.environ.update(FOR_WORKERS)
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        with multiprocessing.get_context("spawn").Pool(1) as other:
            frames, options = other.apply(make, (folder,))
        words = dict(option.removeprefix("--").split("=") for option in options)
        options = {key: words[key] for key in ("dark", "flat")}
        for key in ("focus", "defocus"):
            options[key] = tuple(map(int, words[key].split(",")))
        runs = [link_run(folder, frames, n) for n in given.frames]
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as made:
            address = made.scheduler_address
            print_times(runs, given.frames, options, address)
            print_bytes(runs[1], given.frames[1], options, address)
            tell_tasks(address)
        read = []
        for run in runs:
            before = bytes_read()
            job(run, options, None)
            read.append(bytes_read() - before)
        a_frame = (read[1] - read[0]) / (given.frames[1] - given.frames[0])
        listed = [len(pickle.dumps(lucky.open_run(run), protocol=5)) for run in runs]
        a_file = (listed[1] - listed[0]) / (given.frames[1] - given.frames[0])
        print(
            f"Read from files: {a_frame / 1e3:.0f} kB a frame; "
            f"the list of files: {a_file:.0f} B each"
        )


if __name__ == "__main__":
    main()
