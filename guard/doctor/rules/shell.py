"""Which folders a shell script empties at every run, by patterns: what is not plain is left out. Pure.

There is no shell here. The script is read command by command, up to the first that decides over those behind it (a
test, a branch, a loop, a function, an exit): what runs only sometimes is not reported.
"""

import re
from collections.abc import Iterator, Mapping
from posixpath import join

from guard.doctor.objects.paths import clean_path

_COMMENT = re.compile(r"(?:^|(?<=\s))#[^\n]*")
_REDIRECTION = re.compile(r"\d?[<>]{1,2}&?\s*[^\s;&|()]+")
#: `|| true` and `|| exit 1` behind a command change nothing for those that follow it.
_OTHERWISE = re.compile(r"\|\|\s*(?:true|:|exit(?:\s+\d+)?)(?=\s*(?:[;\n)]|$))")
_SEPARATOR = re.compile(r"&&|[;\n]")
#: `sh -c` before a whole script.
_SHELL = re.compile(r"^\S*sh(?:\s+(?:-\S+|pipefail))+\s+")
#: `while true; do`: what is in a loop without an end runs.
_LOOP = re.compile(r"^(?:while\s+(?:true|:|sleep\s+\S+)$|do\s+)")
#: What decides over the commands behind it, or hands over to another program.
_DECIDES = re.compile(
    r"(?:if|case|for|while|until|select|function|\[{1,2}|test|grep|exec|exit|return|\{)(?:\s|$)|.*[|&{]|.*<<", re.DOTALL
)
#: `$X`, `${X}`, `${X:-default}`, `${X:?message}`, and `$(X)` as the kubelet fills it in.
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?([-?])([^${}]*))?\}|\(?(\w+)\)?)")
_ASSIGNMENT = re.compile(r"(?:export\s+)?(\w+)=(\S*)")
_CHANGE_FOLDER = re.compile(r"cd\s+(?:--\s+)?(\S+)")
_REMOVE = re.compile(r"(?:\S*/)?rm\s(?=.*(?:-[a-zA-Z]*[rR]|--recursive\b))(.*)", re.DOTALL)
#: A search that deletes all it finds: files, or folders whole; lost+found and the guard's own folder may be spared.
_FIND = re.compile(
    r"(?:\S*/)?find\s+(?:-[HLP]\s+)*((?:[^-!\s]\S*\s+)*)"
    r"(?:-(?:mindepth [01]|xdev|mount|depth|type f\S*|print0?)\s+|(?:!|-not)\s+-name\s+(?:lost\+found|\.volume-guard)\s+)*"
    r"(?:-delete|(?:-maxdepth\s+1\s+|-type\s+d\s+)?-exec\s+(?:/bin/)?rm\s+-\w*[rR]\w*\s+\{.?\}.*|-exec\s+(?:/bin/)?rm\s+\{.?\}.*)"
)
#: Programs that make a folder equal to its source, with the words by which they delete there what the source lacks.
_MIRRORS: Mapping[str, tuple[str, ...]] = {
    "rsync": ("--del",),
    "rclone": ("sync",),
    "aws": ("sync", "--delete"),
    "gsutil": ("rsync", "-d"),
    "mc": ("mirror", "--remove"),
}
#: Characters of a script, of a path, and of a variable's value: foreign text must not grow without end.
_SCRIPT, _PATH, _VALUE = 16_384, 4096, 1024


def emptied(script: str, folder: str, variables: Mapping[str, str]) -> set[str]:
    """Returns the folders that a script empties or removes whole whenever it runs.

    Args:
        script: Its text.
        folder: Where it starts; empty if that is not known.
        variables: Its environment; an empty value is one that is not known (valueFrom).
    """
    folders: set[str] = set()
    for inside, command in _plain_commands(script, folder, variables):
        if remove := _REMOVE.fullmatch(command):
            words = (word for word in remove[1].split() if word[0] != "-" and not word.endswith("/."))
            folders |= {_whole(inside, word) for word in words}
        elif search := _FIND.fullmatch(command):
            folders |= {_whole(inside, word) for word in search[1].split() or ["."]}
    return folders - {""}


def mirrored(script: str, folder: str, variables: Mapping[str, str]) -> set[tuple[str, str]]:
    """Returns the folders in which a script deletes what their source lacks whenever it runs, each with the program."""
    folders: set[tuple[str, str]] = set()
    for inside, command in _plain_commands(script, folder, variables):
        program, *words = [command.partition(" ")[0].rpartition("/")[2], *command.split()[1:]]
        needed = _MIRRORS.get(program, ())
        if needed and all(any(word.startswith(one) for word in words) for one in needed):
            last = next((word for word in reversed(words) if not word.startswith("-")), ":")
            target = "" if ":" in last else _whole(inside, last)  # with a colon it is another host or a bucket
            folders |= {(program, target)} if target else set()
    return folders


def _plain_commands(script: str, folder: str, variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yields the commands that run whenever the script does, each with the folder in which it runs."""
    known = dict(variables)
    plain = _OTHERWISE.sub("", _COMMENT.sub("", script[:_SCRIPT].replace("\\\n", " ")))
    braced = _VARIABLE.sub(lambda match: f"${{{match[4]}}}" if match[4] else match[0], plain)
    for piece in _SEPARATOR.split(braced):
        words = _REDIRECTION.sub(" ", _filled_in(piece, known)).replace('"', "").replace("'", "")
        command = _LOOP.sub("", _SHELL.sub("", words.strip("() \t")))
        if assignment := _ASSIGNMENT.fullmatch(command):
            known[assignment[1]] = assignment[2] if len(assignment[2]) <= _VALUE else ""
        elif change := _CHANGE_FOLDER.fullmatch(command):
            folder = _whole(folder, change[1])
        elif _REMOVE.fullmatch(command) or _FIND.fullmatch(command):
            yield folder, command
        elif command == "cd" or _DECIDES.match(command) or "<<" in piece or "()" in piece:
            break
        else:
            yield folder, command
        folder = "" if ")" in piece else folder  # a subshell's `cd` ends with it


def _filled_in(command: str, known: Mapping[str, str]) -> str:
    """Returns the command with its variables; one that is not known stays as it is written."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[4]
        if name not in known and match[2] == "-":
            return match[3]
        return known.get(name, "") or match[0]

    return _VARIABLE.sub(value, command) if command.count("$") * _VALUE < _SCRIPT * 4 else ""


def _whole(folder: str, target: str) -> str:
    """Returns the folder whose whole content a path means, or which it is; empty if it is a part, or not known.

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
