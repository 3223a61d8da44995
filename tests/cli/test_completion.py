"""What the tab key gives in bash and zsh."""

import shutil
import subprocess

import pytest

from napari_lucky.cli.completion import script_of
from napari_lucky.cli.main import main, parser

ASK = """
COMP_WORDS=(napari-lucky {words}); COMP_CWORD={at}; _napari_lucky; echo "${{COMPREPLY[@]}}"
"""


PLAIN_ZSH = """setopt KSH_ARRAYS
compgen() { builtin print -rl -- ${=2} | grep -- "^$4"; }
"""
"""What zsh's bashcompinit is to a function, which needs a terminal."""


def completed(shell, *words):
    """Return what a shell would offer for the last of some words."""
    script = script_of(parser(), shell)
    if shell == "zsh":
        start, end = script.index("_napari_lucky()"), script.index("complete -o")
        script = PLAIN_ZSH + script[start:end]
    asked = script + ASK.format(words=" ".join(f"'{word}'" for word in words), at=len(words))
    done = subprocess.run([shell, "-c", asked], capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_shell_completes(shell):
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell}")
    assert completed(shell, "proc") == ["process"]
    assert completed(shell, "process", "run", "--skip") == ["--skip-existing"]
    assert completed(shell, "process", "run", "--reg") == ["--register"]
    assert "correlation" in completed(shell, "process", "run", "--register", "")
    assert completed(shell, "flat", "flats", "--combine", "m") == ["mean", "median"]
    assert completed(shell, "process", "ru") == []  # names of files are the shell's
    assert completed(shell, "figures", "--dust") == []


def test_the_script_is_printed(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--print-completion", "bash"])
    assert end.value.code == 0
    assert "complete -o default -F _napari_lucky napari-lucky" in capsys.readouterr().out
