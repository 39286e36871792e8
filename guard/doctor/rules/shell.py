"""Which folders a shell script empties, read off its words: there is no shell here, what is not plain is left out. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, takewhile
from posixpath import join

from guard.doctor.kube import clean_path

_COMMENT = re.compile(r"(?:^|(?<=\s))#[^\n]*")
_REDIRECTION = re.compile(r"\d?[<>]{1,2}&?\s*[^\s;&|()]+")
_OPERATOR = re.compile(r"(&&|\|\||[;&|\n()])")
_BY_KUBELET = re.compile(r"\$\((\w+)\)")
#: `$X`, `${X}`, `${X:-default}`, `${X:?message}`.
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?([-?])([^${}]*))?\}|(\w+))")
_ASSIGNMENT = re.compile(r"(?:\S*sh(?:\s+-\w+)+\s+)?(?:export\s+)?(\w+)=(\S*)")
_RECURSIVE = re.compile(r"-[a-zA-Z]*[rR][a-zA-Z]*|--recursive")
#: Characters of a command that is looked at, of a path, and of a variable's value. A script is foreign text: without
#: these a few lines could make it grow without end.
_COMMAND, _PATH, _VALUE = 4096, 4096, 1024

#: Options of find that spare nothing; -name, -mtime, -empty and their like do.
_SPARE_NOTHING = frozenset({
    "-delete", "-type", "-maxdepth", "-depth", "-d", "-xdev", "-mount", "-noleaf", "-ignore_readdir_race", "-print", "-print0",
})  # fmt: skip
#: How many words belong to an option.
_VALUES = {"-type": 1, "-maxdepth": 1, "-mindepth": 1, "!": 2, "-not": 2}
#: Names that may be spared: they are not data.
_NO_DATA = frozenset({"lost+found", ".volume-guard"})


def emptied(script: str, folder: str, variables: Mapping[str, str]) -> set[str]:
    """The folders that a script empties or removes whole.

    Args:
        script: Its text.
        folder: Where it starts; empty where that is not known.
        variables: Its environment; an empty value is one that is not known (valueFrom).
    """
    known = dict(variables)
    found: set[str] = set()
    inside = [folder]  # one for each open parenthesis: a subshell's `cd` ends with it
    for part in _OPERATOR.split(_plain(script, variables)):
        if len(part) > _COMMAND:
            inside[-1] = ""  # it may have gone elsewhere
            continue
        command = _filled_in(part, known)
        words = command.replace('"', "").replace("'", "").split()
        if part == "(":
            inside.append(inside[-1])
        elif part == ")":
            inside.pop()
            inside = inside or [""]
        elif assignment := _ASSIGNMENT.fullmatch(" ".join(words)):
            known[assignment[1]] = assignment[2] if len(assignment[2]) <= _VALUE else ""
        elif "cd" in words:
            inside[-1] = _content(inside[-1], next((word for word in _arguments(words, "cd") if word != "--"), "$HOME"))
        else:
            found |= {_content(inside[-1], target) for target in (*_removed(words), *_searched(words))}
    return found - {""}


def _plain(script: str, variables: Mapping[str, str]) -> str:
    """The script without comments and redirections; escaped parentheses and semicolons are no operators."""
    bare = _COMMENT.sub("", script.replace("\\\n", " "))
    bare = re.sub(r"\\([()])", " -group ", bare.replace("\\;", "+"))
    bare = _BY_KUBELET.sub(lambda match: variables.get(match[1], "")[:_VALUE] or match[0], bare)
    return _REDIRECTION.sub(" ", bare)


def _filled_in(command: str, known: Mapping[str, str]) -> str:
    """The command with its variables; one that is not known stays as it is written."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[4]
        if name not in known and match[2] == "-":
            return match[3]
        return known.get(name, "")[:_VALUE] or match[0]

    return _VARIABLE.sub(value, command)


def _content(folder: str, target: str) -> str:
    """The folder whose whole content a path means, or which it is; empty where it means a part, or is not known.

    `P`, `P/*` and `P/{*,.*}` are the whole of P; `P/*.tmp`, `P/.[!.]*` and `P/{cache,tmp}` are not.
    """
    above, _, last = target.rstrip("/").rpartition("/")
    items = last[1:-1].split(",") if last.startswith("{") and last.endswith("}") else [last]
    if any(item and not item.strip("*") for item in items):
        target = above + "/" if "/" in target.rstrip("/") else ""
    whole = join(folder, target)
    if not whole.startswith("/") or len(whole) > _PATH or set("$`*?[{") & set(whole):
        return ""
    return clean_path(whole)


def _arguments(words: Sequence[str], program: str) -> Iterator[str]:
    """What follows a program in a command that runs it: not in one that only prints it."""
    for index, word in enumerate(words):
        if word.rpartition("/")[2] == program:
            if not {"echo", "printf"} & set(words[:index]):
                yield from words[index + 1 :]
            return


def _removed(words: Sequence[str]) -> list[str]:
    """What `rm -r` removes. It refuses `.` and `..`."""
    arguments = list(_arguments(words, "rm"))
    if not any(map(_RECURSIVE.fullmatch, arguments)):
        return []
    targets = (word for word in arguments if not word.startswith("-"))
    return [word for word in targets if word.rstrip("/").rpartition("/")[2] not in {".", ".."}]


def _searched(words: Sequence[str]) -> list[str]:
    """Where `find` deletes everything."""
    arguments = [word for word in _arguments(words, "find") if word not in {"-H", "-L", "-P"}]
    roots = list(takewhile(lambda word: word != "!" and not word.startswith("-"), arguments))
    return (roots or ["."]) if _deletes_everything(arguments[len(roots) :]) else []


def _deletes_everything(expression: Sequence[str]) -> bool:
    """Whether an expression of find spares nothing.

    `-delete` removes files, and folders that are empty by then: not what lies below -maxdepth. `-exec rm -r` removes
    folders whole.
    """
    steps = list(_steps(expression))
    if not all(_spares_nothing(option, values) for option, values in steps):
        return False
    said = dict(steps)
    types = "".join(said.get("-type", ["f,d"]))
    folders = any(map(_RECURSIVE.fullmatch, said.get("-exec", ())))
    files = bool({"-delete", "-exec"} & said.keys()) and "-maxdepth" not in said
    return (folders and "d" in types) or (files and "f" in types)


def _steps(expression: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The options of an expression of find, each with its values."""
    words = iter(expression)
    for word in words:
        if word in {"-exec", "-execdir"}:
            yield "-exec", list(takewhile(lambda inner: inner != "+", words))
        else:
            yield word, list(islice(words, _VALUES.get(word, 0)))


def _spares_nothing(option: str, values: list[str]) -> bool:
    if option == "-exec":
        return values[:1] in (["rm"], ["/bin/rm"])
    if option == "-mindepth":
        return values in (["0"], ["1"])
    if option in {"!", "-not"}:
        return values[:1] == ["-name"] and set(values[1:]) <= _NO_DATA
    return option in _SPARE_NOTHING
