"""Which folders a shell script empties at every run, read off its words: what is not plain is left out. Pure.

There is no shell here, so what stands behind a test, in a branch, a loop or a function's body may run or not.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import dropwhile, islice, takewhile
from posixpath import join

from guard.doctor.kube import clean_path

#: `<<E`: the lines that follow are text, up to the one that says E.
_HERE_DOCUMENT = re.compile(r"(?<!<)<<-?\s*[\"'\\]?(\w+)[\"']?")
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

#: What opens and closes a branch, a loop, a group or a function's body, and what may stand before a command in one.
_OPENS = frozenset({"if", "case", "for", "while", "until", "select", "function", "{"})
_CLOSES = frozenset({"fi", "esac", "done", "}"})
_LEADS = frozenset({"then", "else", "do", "!"})
#: What ends the script, or hands over to another program.
_LEAVES = frozenset({"exit", "return", "exec"})
#: Programs that do something and test nothing: what follows them behind `&&` runs as well.
_ACTS = frozenset({
    "cd", "rm", "find", "mkdir", "cp", "mv", "touch", "chown", "chmod", "echo", "printf", "set", "export", "umask",
    "sleep", "sync", "true", ":", "apk", "apt-get", "apt", "yum", "dnf", "pip", "rsync", "tar", "gzip", "unzip", "curl", "wget", "git",
})  # fmt: skip

#: Options of find that spare nothing; -name, -mtime, -empty and their like do.
_SPARE_NOTHING = frozenset({
    "-delete", "-type", "-maxdepth", "-depth", "-d", "-xdev", "-mount", "-noleaf", "-ignore_readdir_race", "-print", "-print0",
})  # fmt: skip
#: How many words belong to an option.
_VALUES = {"-type": 1, "-maxdepth": 1, "-mindepth": 1, "!": 2, "-not": 2}
#: Programs that make a folder equal to another, and which arguments make them delete there.
_MIRRORS: Mapping[str, Callable[[Sequence[str]], bool]] = {
    "rsync": lambda words: any(word == "--del" or word.startswith("--delete") for word in words),
    "rclone": lambda words: "sync" in words,
    "aws": lambda words: {"sync", "--delete"} <= set(words),
    "gsutil": lambda words: {"rsync", "-d"} <= set(words),
    "mc": lambda words: {"mirror", "--remove"} <= set(words),
}
#: Names that may be spared: they are not data.
_NO_DATA = frozenset({"lost+found", ".volume-guard"})


class _Course:
    """Whether the command at hand runs whenever the script does."""

    def __init__(self) -> None:
        self._open = 0  # branches, loops and bodies
        self._behind = [False]  # a test, in its chain of && and ||: one for each open parenthesis
        self._left = False
        self._acts = True  # what the last command was

    @property
    def is_plain(self) -> bool:
        """Whether nothing decides over it."""
        return not (self._open or self._behind[-1] or self._left)

    def goes_on(self, operator: str) -> None:
        """What an operator makes of the next command."""
        if operator in {";", "&", "\n"}:
            self._behind[-1] = self._behind[-2] if self._behind[1:] else False
        elif operator == "||" or (operator == "&&" and not self._acts):
            self._behind[-1] = True
        elif operator == "(":
            self._behind.append(self._behind[-1])
        elif operator == ")" and self._behind[1:]:
            self._behind.pop()

    def runs(self, words: Sequence[str]) -> None:
        """What a command makes of itself and of those after it."""
        own = _without_lead(words)
        first = own[0] if own else ""
        self._acts = first.rpartition("/")[2] in _ACTS or "=" in first
        self._open += first in _OPENS or own[1:] == ["{"]
        self._open = max(self._open - (first in _CLOSES), 0)
        if first in _LEAVES and (self.is_plain or own[1:2] in ([], ["0"]) or first != "exit"):
            self._left = True


def emptied(script: str, folder: str, variables: Mapping[str, str]) -> set[str]:
    """The folders that a script empties or removes whole whenever it runs.

    Args:
        script: Its text.
        folder: Where it starts; empty where that is not known.
        variables: Its environment; an empty value is one that is not known (valueFrom).
    """
    commands = _plain_commands(script, folder, variables)
    return {
        _content(inside, target) for inside, words in commands for target in (*_removed(words), *_searched(words))
    } - {""}


def mirrored(script: str, folder: str, variables: Mapping[str, str]) -> set[tuple[str, str]]:
    """The folders in which a script deletes what another folder lacks whenever it runs, each with the program."""
    return {
        (program, target)
        for inside, words in _plain_commands(script, folder, variables)
        for program, is_mirror in _MIRRORS.items()
        if (arguments := list(_arguments(words, program))) and is_mirror(arguments)
        if (target := _content(inside, _destination(arguments)))
    }


def _destination(arguments: Sequence[str]) -> str:
    """The last argument where it is a folder of the container; `$`, which is none, where it is another host or a bucket."""
    last = next((word for word in reversed(arguments) if not word.startswith("-")), "$")
    return "$" if ":" in last else last


def _plain_commands(script: str, folder: str, variables: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """The commands of a script that run whenever it does, each with the folder in which it runs."""
    known = dict(variables)
    inside = [folder]  # one for each open parenthesis: a subshell's `cd` ends with it
    course = _Course()
    for part in _OPERATOR.split(_plain(script, variables)):
        if len(part) > _COMMAND:
            inside[-1] = ""  # it may have gone elsewhere
            continue
        if _OPERATOR.fullmatch(part):
            course.goes_on(part)
            inside = [*inside, inside[-1]] if part == "(" else inside[:-1] or [""] if part == ")" else inside
            continue
        command = _filled_in(part, known)
        words = command.replace('"', "").replace("'", "").split()
        if not words:
            continue
        course.runs(words)
        if assignment := _ASSIGNMENT.fullmatch(" ".join(words)):
            known[assignment[1]] = assignment[2] if course.is_plain and len(assignment[2]) <= _VALUE else ""
        elif "cd" in words:
            target = next((word for word in _arguments(words, "cd") if word != "--"), "$HOME")
            inside[-1] = _content(inside[-1], target) if course.is_plain else ""
        elif course.is_plain:
            yield inside[-1], words


def _without_lead(words: Sequence[str]) -> list[str]:
    """A command without `sh -c` before a whole script, and without `then` and its like."""
    own = list(words)
    if own and own[0].rpartition("/")[2].endswith("sh"):
        own = list(dropwhile(lambda word: word.startswith("-") or word == "pipefail", own[1:]))
    return list(dropwhile(lambda word: word in _LEADS, own))


def _plain(script: str, variables: Mapping[str, str]) -> str:
    """The script without here documents, comments and redirections; escaped parentheses and semicolons are no operators."""
    bare = _COMMENT.sub("", _without_texts(script.replace("\\\n", " ")))
    bare = re.sub(r"\\([()])", " -group ", bare.replace("\\;", "+"))
    bare = _BY_KUBELET.sub(lambda match: variables.get(match[1], "")[:_VALUE] or match[0], bare)
    return _REDIRECTION.sub(" ", bare)


def _without_texts(script: str) -> str:
    """The script without here documents; what stands behind `<<E` on its line is still a command."""
    kept = []
    end = ""
    for line in script.split("\n"):
        opened = _HERE_DOCUMENT.search(line)
        if end:
            end = "" if line.strip() == end else end
        elif opened:
            end = opened[1]
            kept.append(line.replace(opened[0], "", 1))
        else:
            kept.append(line)
    return "\n".join(kept)


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
