# SPDX-License-Identifier: GPL-2.0
"""Completion for bash, generated from the argument parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from ..core import hardware

#: values that argparse's choices and types do not list
VALUES = {"--engines": tuple(hardware.ALL)}

FRAME = """\
# SPDX-License-Identifier: GPL-2.0
# Completion of vlab for bash, made by "vlab completion"

_vlab()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]} words= word

	COMPREPLY=()
	for word in "${COMP_WORDS[@]:1:COMP_CWORD - 1}"; do
		# the rest are not arguments of vlab
		[ "$word" = -- ] && return
	done
	if [ "$COMP_CWORD" = 1 ]; then
		words="@COMMANDS@"
	else
		case $command:$prev in
@VALUES@
		*)
			case $command in
@OPTIONS@
			esac ;;
		esac
	fi
	# shellcheck disable=SC2207
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
	return 0
}
complete -o default -F _vlab vlab
"""


def _commands(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (choices,) = (a.choices for a in top._actions if isinstance(a, argparse._SubParsersAction))
    return dict(choices)


def _words(action: argparse.Action) -> tuple[str, ...]:
    """The possible values of an argument, if known."""
    return tuple(action.choices or getattr(action.type, "known", ()))


def _case(pattern: str, words: Iterable[object], depth: int) -> str:
    tabs = "\t" * depth
    return f"{tabs}{pattern})\n{tabs}\twords=\"{' '.join(map(str, words))}\" ;;"


def script(top: argparse.ArgumentParser) -> str:
    """The completion script of a parser."""
    values, options = [], []
    for name, parser in _commands(top).items():
        actions = [a for a in parser._actions if a.option_strings and a.help != argparse.SUPPRESS]
        operands = [word for a in parser._actions if not a.option_strings for word in _words(a)]
        for action in actions:
            known = VALUES.get(action.option_strings[-1], _words(action))
            if known:
                values.append(_case(f"{name}:{action.option_strings[-1]}", known, 2))
            elif action.nargs != 0:     # a file, a number: bash's own completion
                values.append(_case(f"{name}:{action.option_strings[-1]}", (), 2))
        flags = [s for a in actions for s in a.option_strings if s.startswith("--")]
        options.append(_case(name, (*operands, *flags), 3))
    return (FRAME.replace("@COMMANDS@", " ".join(_commands(top))).replace("@VALUES@", "\n".join(values))
            .replace("@OPTIONS@", "\n".join(options)))

