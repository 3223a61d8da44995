"""Completion of commands and options in bash and zsh: `napari-lucky --print-completion bash`."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

SHELLS = ("bash", "zsh")
ZSH = """autoload -Uz compinit bashcompinit
(( $+functions[compdef] )) || compinit
bashcompinit
"""
SCRIPT = """_napari_lucky() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} words=""
    if (( COMP_CWORD == 1 )); then
        words={commands}
    else
        case "${{COMP_WORDS[1]}} $before" in
{choices}
        *)
            if [[ $word == -* ]]; then
                case "${{COMP_WORDS[1]}}" in
{options}
                esac
            fi ;;
        esac
    fi
    COMPREPLY=( $(compgen -W "$words" -- "$word") )
}}
complete -o default -F _napari_lucky napari-lucky
"""
"""Where there are no words, the shell completes names of files."""


class PrintCompletion(argparse.Action):
    """Print the script of a shell, and end."""

    def __call__(self, parser: Any, _: Any, shell: Any, option: Any = None) -> None:
        """Do so."""
        from napari_lucky.cli.terminal import say_always

        say_always(script_of(parser, shell))
        parser.exit()


def script_of(parser: Any, shell: str) -> str:
    """Return the script that a shell reads to complete the words of a command line.

    Parameters
    ----------
    parser : Parser
        Of the command line.
    shell : {"bash", "zsh"}
    """
    (commands,) = (a.choices for a in parser._actions if isinstance(a.choices, Mapping))
    first = [*commands, *_options(parser)]
    options = [_case(name, _options(one.complete())) for name, one in commands.items()]
    choices = [
        _case(f"{name} {option}", words)
        for name, one in commands.items()
        for action in one._actions
        for option in action.option_strings
        if (words := _words(option, action))
    ]
    made = SCRIPT.format(
        commands=shlex.quote(" ".join(first)),
        choices="\n".join(f"        {case}" for case in choices),
        options="\n".join(f"                {case}" for case in options),
    )
    return (ZSH if shell == "zsh" else "") + made


def _options(parser: Any) -> list[str]:
    return [option for action in parser._actions for option in action.option_strings]


def _words(option: str, action: argparse.Action) -> list[str]:
    """Return what may follow an option: its choices, or the methods of its step."""
    from napari_lucky.steps.declaration import params
    from napari_lucky.steps.registry import first_of, load_steps

    if action.choices:
        return [str(choice) for choice in action.choices]
    table = option.removeprefix("--")
    if table not in load_steps() or action.nargs == 0:
        return []
    kinds = [kind for kind in load_steps()[table] if kind]
    named = [str(choice) for one in params(first_of(table)).values() for choice in one.choices]
    return kinds or named


def _case(pattern: str, words: Sequence[str]) -> str:
    return f"{shlex.quote(pattern)}) words={shlex.quote(' '.join(words))} ;;"
