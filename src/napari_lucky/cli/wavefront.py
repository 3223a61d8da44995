"""The command line `napari-lucky wavefront`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_lucky.cli.options import (
    add_frames,
    add_named_telescope,
    add_run,
    add_scheduler,
    add_telescope_options,
    executor_on,
    folder,
    from_text,
    telescope_input,
    whole_telescope,
)
from napari_lucky.cli.recipe_options import add_step_options, options_of_steps, recipe_of
from napari_lucky.cli.terminal import Meter, say, say_summary, warn
from napari_lucky.errors import UsageError
from napari_lucky.execution.job import Job
from napari_lucky.frames.window import Window

if TYPE_CHECKING:
    from napari_lucky.optics.pupil import Spider
    from napari_lucky.wavefront.job import MeasuredWavefront, WavefrontRequest

CHOICES = ("random", "all", "ranked")
SMOOTHING = ("noise-cut", "low-pass")
"""Steps that a wavefront's model knows nothing of."""
UNUSED = ("shifts", "register", "select", "stack", "accept", "output")
"""Steps that no wavefront is made with."""
OF_A_RUN = {
    "recipe": "--recipe",
    "range": "--frames",
    "choose": "--choose",
    "count": "--count",
    "scheduler": "--scheduler",
    "gain": "--gain",
    "read_noise": "--read-noise",
}
"""What says nothing of a pair of stacks, nor do the options of steps."""


def add_wavefront(wavefront: Any) -> None:
    """Add the options of `napari-lucky wavefront`."""
    wavefront.usage = (
        "napari-lucky wavefront FRAMES… [options] -o OUT\n"
        "       napari-lucky wavefront --recipe FILE [FRAMES…] [options] -o OUT\n"
        "       napari-lucky wavefront --stacks FOCUS DEFOCUS [options] -o OUT"
    )
    add = wavefront.add_argument
    add_run(wavefront)
    add(
        "--recipe",
        metavar="FILE",
        help="a job's recipe.toml: its frames, windows, dark, flat and cleaning are used",
    )
    add_named_telescope(wavefront)
    add_telescope_options(wavefront)
    add(
        "--spider",
        type=from_text(spider),
        metavar="VANES,WIDTH[,ANGLE]",
        help="vanes before the pupil, evenly spread: how many, how wide over the pupil's diameter, "
        "and the first one's angle in degrees from +x (right) to +y (down)",
    )
    between = wavefront.add_mutually_exclusive_group()
    between.add_argument(
        "--defocus-pv",
        type=float,
        metavar="WAVES",
        help="defocus of the second image against the first, waves peak-to-valley, with its sign",
    )
    between.add_argument(
        "--defocus-mm", type=float, metavar="MM", help="the same as a shift of the focus in mm"
    )
    add("--fit-defocus", action="store_true", help="fit it too, from within some 10 %% of that")
    add(
        "--gain",
        type=float,
        metavar="G",
        help="of the camera, e-/ADU; from the header (EGAIN) or measured by default",
    )
    add(
        "--read-noise",
        type=float,
        metavar="E",
        help="of the camera, e-; from the header (RDNOISE) or measured by default",
    )
    add("--modes", type=int, metavar="N", help="report Noll 4 to this one (36)")
    add(
        "--choose",
        choices=CHOICES,
        help="which frames: COUNT at random (default), all, or the COUNT best, which biases "
        "the answer",
    )
    add("--count", type=int, metavar="COUNT", help="how many frames (200)")
    add("--seed", type=int, metavar="SEED", default=0, help="of the choice and the starts (0)")
    add_frames(wavefront)
    add(
        "--stacks",
        nargs=2,
        metavar=("FOCUS", "DEFOCUS"),
        help="the lesser way, where the frames are gone: from one pair of stacks",
    )
    add("--report", action="store_true", help="draw report.png too")
    add("--overwrite", action="store_true", help="replace a wavefront that OUT already holds")
    add_scheduler(wavefront)
    add("-o", "--out", required=True, type=folder, metavar="OUT", help="folder for the results")
    add_step_options(wavefront, skip=(*SMOOTHING, *UNUSED))


def spider(text: str) -> Spider:
    """Return the vanes of VANES,WIDTH[,ANGLE]."""
    from napari_lucky.optics.pupil import Spider

    try:
        vanes, width, *more = text.split(",")
        (angle,) = more or ["0"]
        made = Spider(int(vanes), float(width), float(angle))
    except ValueError:
        raise UsageError(f"{text!r} is not VANES,WIDTH or VANES,WIDTH,ANGLE, as 4,0.02") from None
    if not (1 <= made.vanes <= 12 and 0 < made.width < 0.3 and abs(made.angle_deg) <= 360):
        raise UsageError(
            f"{text!r}: a spider has 1 to 12 vanes, of 0 to 0.3 of the pupil's diameter, and the "
            "angle is in degrees."
        )
    return made


def run_wavefront(given: argparse.Namespace) -> int:
    """Do `napari-lucky wavefront`."""
    from napari_lucky.pipeline.results_folder import check_out
    from napari_lucky.pipeline.summary import read_summary
    from napari_lucky.wavefront.output import NAMES, tell_wavefront, write_wavefront
    from napari_lucky.wavefront.summary import sign_note

    request = _asked(given)
    inputs = {
        "frames": given.frames,
        "dark": given.dark,
        "flat": given.flat,
        "stacks": given.stacks,
        **telescope_input(given),
    }
    check_out(given.out, given.overwrite, NAMES, inputs)
    meter = Meter()
    try:
        measured = _measure(given, request, meter)
    finally:
        meter.clear()
    files = write_wavefront(measured, given.out, report=given.report, overwrite=given.overwrite)
    for note in measured.notes:
        warn(note)
    say(
        f"{tell_wavefront(measured)}; wrote {', '.join(file.name for file in files)} to {given.out}"
    )
    say(sign_note(measured.wavefront))
    say_summary(read_summary(given.out))
    return 0


def _asked(given: argparse.Namespace) -> WavefrontRequest:
    from napari_lucky.wavefront.job import WavefrontRequest

    if given.choose == "all" and given.count is not None:
        raise UsageError("--choose all and --count: all frames are taken; leave one of them out.")
    options = {
        "spider": given.spider,
        "fit_defocus": given.fit_defocus,
        "modes": given.modes,
        "choice": given.choose,
        "count": given.count,
        "seed": given.seed,
        "gain": given.gain,
        "read_noise_e": given.read_noise,
    }
    known = {name: value for name, value in options.items() if value is not None}
    return WavefrontRequest(whole_telescope(given), given.defocus_pv, given.defocus_mm, known)


def _measure(
    given: argparse.Namespace, request: WavefrontRequest, meter: Meter
) -> MeasuredWavefront:
    from napari_lucky.wavefront.job import measure_wavefront_run, measure_wavefront_stack_files

    if given.stacks:
        of_run = ["FRAMES"] if given.frames else []
        of_run += [option for name, option in OF_A_RUN.items() if getattr(given, name) is not None]
        of_run += options_of_steps(given)
        if of_run:
            raise UsageError(
                f"{' and '.join(of_run)}: --stacks measures one pair of images, not a run; leave "
                "one out."
            )
        windows = [spec and Window.centred(*spec) for spec in (given.focus, given.defocus)]
        focus, defocus = map(Path, given.stacks)
        return measure_wavefront_stack_files(
            focus, defocus, request, (windows[0], windows[1]), job=Job(progress=meter)
        )
    recipe = recipe_of(given)
    if smoothed := [table for table in SMOOTHING if recipe.table(table)]:
        warn(
            f"The recipe's {' and '.join(smoothed)} {'is' if len(smoothed) == 1 else 'are'} not "
            "used: a wavefront is fitted to frames as the camera took them."
        )
    recipe = recipe.without(*SMOOTHING, *UNUSED)
    with executor_on(given.scheduler, recipe.input.frames) as executor:
        return measure_wavefront_run(recipe, request, job=Job(progress=meter, executor=executor))
