"""The text of /proc/self/mountinfo: named odd cases first, then any text at all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.volume.mountinfo import Mount, MountinfoError, parse, parse_line, unescape

PLAIN = Mount(36, 35, "98:0", "/mnt1", "/mnt2", ("rw", "noatime"), (), "ext3", "/dev/root", "rw,errors=continue")

ODD = {
    "the example of the man page": (
        "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
        Mount(36, 35, "98:0", "/mnt1", "/mnt2", ("rw", "noatime"), ("master:1",), "ext3", "/dev/root", "rw,errors=continue"),
    ),
    "no optional field": (
        "36 35 98:0 /mnt1 /mnt2 rw,noatime - ext3 /dev/root rw,errors=continue",
        PLAIN,
    ),
    "many optional fields": (
        "36 35 98:0 / /m rw shared:1 master:2 propagate_from:3 unbindable - ext3 /dev/root rw",
        Mount(36, 35, "98:0", "/", "/m", ("rw",), ("shared:1", "master:2", "propagate_from:3", "unbindable"), "ext3", "/dev/root", "rw"),
    ),
    "spaces, tab, newline, backslash and hash in paths": (
        r"36 35 98:0 /a\040b /c\011d\012e\134f\043 rw - ext3 /dev/x\040y rw",
        Mount(36, 35, "98:0", "/a b", "/c\td\ne\\f#", ("rw",), (), "ext3", "/dev/x y", "rw"),
    ),
    "a backslash that was in the name itself": (
        r"36 35 98:0 / /a\134040b rw - ext3 x rw",
        Mount(36, 35, "98:0", "/", r"/a\040b", ("rw",), (), "ext3", "x", "rw"),
    ),
    "the separator inside an escaped path": (
        r"36 35 98:0 /x\040-\040y /a\040-\040b rw shared:9 - ext3 /dev/root rw",
        Mount(36, 35, "98:0", "/x - y", "/a - b", ("rw",), ("shared:9",), "ext3", "/dev/root", "rw"),
    ),
    "a root and a mount point that are the separator": (
        "36 35 98:0 - - rw - ext3 /dev/root rw",
        Mount(36, 35, "98:0", "-", "-", ("rw",), (), "ext3", "/dev/root", "rw"),
    ),
    "a source that is the separator": (
        "36 35 98:0 / /m rw - fuse.x - rw",
        Mount(36, 35, "98:0", "/", "/m", ("rw",), (), "fuse.x", "-", "rw"),
    ),
    "an empty source": (
        "36 35 0:5 / /m rw - tmpfs  rw,size=1k",
        Mount(36, 35, "0:5", "/", "/m", ("rw",), (), "tmpfs", "", "rw,size=1k"),
    ),
    "a deleted bind source": (
        "36 35 98:0 /gone//deleted /m rw - ext4 /dev/x rw",
        Mount(36, 35, "98:0", "/gone//deleted", "/m", ("rw",), (), "ext4", "/dev/x", "rw"),
    ),
    "a namespace as root": (
        "48 27 0:4 net:[4026532196] /run/netns/x rw - nsfs nsfs rw",
        Mount(48, 27, "0:4", "net:[4026532196]", "/run/netns/x", ("rw",), (), "nsfs", "nsfs", "rw"),
    ),
    "super options with a space and the separator": (
        "36 35 0:9 / /m rw - fuse.x y rw,name=a - b",
        Mount(36, 35, "0:9", "/", "/m", ("rw",), (), "fuse.x", "y", "rw,name=a - b"),
    ),
    "super options that are empty": (
        "36 35 0:9 / /m rw - ext4 /dev/x ",
        Mount(36, 35, "0:9", "/", "/m", ("rw",), (), "ext4", "/dev/x", ""),
    ),
    "IDs of 64 bits, as of gVisor": (
        "18446744073709551615 1 0:9 / /m rw - 9p none rw",
        Mount(18446744073709551615, 1, "0:9", "/", "/m", ("rw",), (), "9p", "none", "rw"),
    ),
    "a drive of WSL: its options hold semicolons and a backslash": (
        r"36 35 0:9 / /mnt/c rw - 9p C:\134 rw,aname=drvfs;path=C:\134;uid=0,trans=fd",
        Mount(36, 35, "0:9", "/", "/mnt/c", ("rw",), (), "9p", "C:\\", "rw,aname=drvfs;path=C:\\;uid=0,trans=fd"),
    ),
    "a name that is not UTF-8": (
        "36 35 0:9 / /m\udcff rw - ext4 /dev/x rw",
        Mount(36, 35, "0:9", "/", "/m\udcff", ("rw",), (), "ext4", "/dev/x", "rw"),
    ),
    "a Korean name": (
        "36 35 0:9 / /데이터 rw - ext4 /dev/x rw",
        Mount(36, 35, "0:9", "/", "/데이터", ("rw",), (), "ext4", "/dev/x", "rw"),
    ),
    "a carriage return and other line ends of Unicode inside a name": (
        "36 35 0:9 / /a\rb\x85c\u2028d rw - ext4 /dev/x rw",
        Mount(36, 35, "0:9", "/", "/a\rb\x85c\u2028d", ("rw",), (), "ext4", "/dev/x", "rw"),
    ),
}  # fmt: skip

MALFORMED = {
    "one word": "garbage",
    "no separator": "36 35 98:0 /mnt1 /mnt2 rw,noatime ext3 /dev/root rw",
    "nothing behind the separator": "36 35 98:0 / /m rw -",
    "no source": "36 35 98:0 / /m rw - ext3",
    "a separator too early": "36 35 98:0 / - ext3 /dev/root rw",
    "a mount ID that is no number": "x 35 98:0 / /m rw - ext3 /dev/root rw",
    "a parent ID that is no number": "36 ? 98:0 / /m rw - ext3 /dev/root rw",
    "a number of 5,000 digits": "9" * 5000 + " 35 98:0 / /m rw - ext3 /dev/root rw",
    "no super options": "36 35 0:9 / /m rw - ext4 /dev/x",
    "no super options behind an empty source": "36 35 0:9 / /m rw - tmpfs ",
    "no mount options": "36 35 98:0 / /m - ext3 /dev/root rw",
    "an ID with a sign": "+36 35 98:0 / /m rw - ext3 /dev/root rw",
    "an ID below zero": "-1 35 98:0 / /m rw - ext3 /dev/root rw",
    "an ID with an underscore": "3_6 35 98:0 / /m rw - ext3 /dev/root rw",
    "an ID in other digits": "٣٦ 35 98:0 / /m rw - ext3 /dev/root rw",
    "no ID": " 35 98:0 / /m rw - ext3 /dev/root rw",
    "a device that is a name": "36 35 vda / /m rw - ext3 /dev/root rw",
    "a device without minor": "36 35 98 / /m rw - ext3 /dev/root rw",
    "a device with an empty minor": "36 35 98: / /m rw - ext3 /dev/root rw",
    "a device in hexadecimal": "36 35 fe:0 / /m rw - ext3 /dev/root rw",
    "a device of three numbers": "36 35 98:0:1 / /m rw - ext3 /dev/root rw",
    "a device below zero": "36 35 98:-1 / /m rw - ext3 /dev/root rw",
    "a tab between fields": "36\t35 98:0 / /m rw - ext3 /dev/root rw",
}


@pytest.mark.parametrize(("line", "mount"), ODD.values(), ids=ODD.keys())
def test_an_odd_line_is_read_as_the_kernel_meant_it(line: str, mount: Mount) -> None:
    assert parse_line(line) == mount


@pytest.mark.parametrize("line", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_line_is_refused_and_quoted(line: str) -> None:
    with pytest.raises(MountinfoError) as refusal:
        parse_line(line)
    assert repr(line) in str(refusal.value)


def test_one_malformed_line_does_not_hide_the_others() -> None:
    good = "36 35 98:0 /mnt1 /mnt2 rw,noatime - ext3 /dev/root rw,errors=continue"
    table = parse(f"{good}\ngarbage\n\n{good}\nmore garbage")
    assert table.mounts == (PLAIN, PLAIN)
    assert table.malformed == ("garbage", "more garbage")


def test_an_empty_text_is_an_empty_table() -> None:
    table = parse("")
    assert (table.mounts, table.malformed) == ((), ())


@pytest.mark.parametrize(
    ("tags", "receives"),
    [
        ("", False),
        ("shared:1", True),
        ("master:1", True),
        ("shared:2 master:1", True),
        ("unbindable", False),
        ("propagate_from:2", False),
    ],
)
def test_only_shared_and_slave_mounts_receive_what_is_mounted_elsewhere(tags: str, receives: bool) -> None:
    line = " ".join(part for part in ("36 35 98:0 / /m rw", tags, "- ext3 /dev/root rw") if part)
    assert parse_line(line).receives_propagation is receives


@pytest.mark.parametrize("text", [r"\400", r"\08", r"\1", r"\x20", "\\", r"a\ b", r"\04"])
def test_what_is_no_octal_escape_of_a_byte_stands_as_it_is(text: str) -> None:
    assert unescape(text) == text


def test_mounts_are_found_by_id_and_over_mounts_come_oldest_first() -> None:
    table = parse("1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /m rw - ext4 b rw\n3 2 8:3 / /m rw - ext4 c rw\n")
    assert [mount.mount_id for mount in table.at("/m")] == [2, 3]
    found = table.by_id(3)
    assert found is not None
    assert found.source == "c"
    assert table.by_id(4) is None


def test_mounts_below_a_directory_are_named_relative_to_it() -> None:
    table = parse(
        "1 0 8:1 / / rw - ext4 a rw\n2 1 8:2 / /m rw - ext4 b rw\n3 2 8:3 / /m/a/b rw - ext4 c rw\n"
        "4 1 8:4 / /mx rw - ext4 d rw\n"
    )
    root, volume, *_ = table.mounts
    assert table.below(volume, "/m") == table.below(volume, "/m/") == {"a/b"}
    assert table.below(root, "/") == {"m", "m/a/b", "mx"}


#: What is mounted, as `ID PARENT POINT`; the mount that /m leads to, and where others are met below it.
STACKED = {
    "below an older mount": ("1 0 /,2 1 /m,3 2 /m/a,4 2 /m/b,5 2 /m", 5, set()),
    "below the one in force": ("1 0 /,2 1 /m,3 2 /m/a,4 2 /m,5 4 /m/b", 4, {"b"}),
    "hidden by a later one": ("1 0 /,2 1 /m,3 2 /m/a/b,4 2 /m/a", 2, {"a"}),
    "hidden above the path": ("1 0 /,2 1 /m,3 1 /", 3, set()),
    "mounted upon a mount below": ("1 0 /,2 1 /m,3 2 /m/a,4 3 /m/a,5 4 /m/a/b", 2, {"a", "a/b"}),
    "moved, so that the child is older": ("1 0 /,3 9 /m/a,9 1 /m", 9, {"a"}),
    "a directory of a mount": ("1 0 /,2 1 /m/a,3 1 /mx", 1, {"a"}),
    "the root names itself, as in gVisor": ("1 1 /,2 1 /m,3 2 /m/a", 2, {"a"}),
    "no parent is known": ("1 0 /,2 0 /m,3 0 /m", 3, set()),
    "nothing": ("", None, set()),
}


@pytest.mark.parametrize(("lines", "in_force", "met"), STACKED.values(), ids=STACKED)
def test_of_mounts_upon_mounts_those_are_met_that_the_kernel_would_meet(
    lines: str, in_force: int | None, met: set[str]
) -> None:
    fields = [line.split(" ") for line in lines.split(",") if line]
    table = parse("".join(f"{own} {parent} 8:1 / {point} rw - ext4 a rw\n" for own, parent, point in fields))
    found = table.in_force_at("/m")
    assert (found and found.mount_id) == in_force
    assert (table.below(found, "/m") if found else set()) == met


_FRAGMENTS = st.sampled_from([" ", "-", " - ", "\n", "\\040", "\\", "36", "0:1", "/", "rw", "\udcff", "\x00"])


@settings(max_examples=100)
@given(st.text() | st.lists(_FRAGMENTS | st.text(max_size=3), max_size=40).map("".join))
def test_any_text_gives_a_table_in_which_every_line_stands_once(text: str) -> None:
    table = parse(text)
    assert len(table.mounts) + len(table.malformed) == sum(1 for line in text.split("\n") if line)


_WORDS = st.text(st.characters(exclude_characters=" \t\n\\,"), min_size=1, max_size=8)
_PATHS = st.text(st.characters() | st.sampled_from(" \t\n\\-#/,"), max_size=12).map(lambda path: "/" + path)
_IDS = st.integers(0, 2**31 - 1)
_MOUNTS = st.builds(
    Mount,
    mount_id=_IDS,
    parent_id=_IDS,
    device=st.tuples(st.integers(0, 4095), st.integers(0, 2**20 - 1)).map(lambda device: f"{device[0]}:{device[1]}"),
    root=_PATHS,
    mount_point=_PATHS,
    options=st.lists(_WORDS, min_size=1, max_size=4).map(tuple),
    propagation=st.lists(st.sampled_from(["shared:1", "master:22", "propagate_from:3", "unbindable"])).map(tuple),
    fstype=_WORDS,
    source=st.just("") | _PATHS | _WORDS,
    super_options=st.text(st.characters(exclude_characters="\\") | st.sampled_from(" ,\t\n-"), max_size=20),
)


def escaped(text: str) -> str:
    """As mangle() in fs/proc_namespace.c writes it."""
    return "".join(f"\\{ord(letter):03o}" if letter in " \t\n\\" else letter for letter in text)


def rendered(mount: Mount) -> str:
    fields = [mount.mount_id, mount.parent_id, mount.device, escaped(mount.root), escaped(mount.mount_point)]
    fields += [",".join(mount.options), *mount.propagation, "-", mount.fstype, escaped(mount.source)]
    return " ".join([*map(str, fields), escaped(mount.super_options)])


@settings(max_examples=60)
@given(st.lists(_MOUNTS, max_size=4))
def test_what_the_kernel_would_write_of_any_mounts_is_read_back_equal(mounts: list[Mount]) -> None:
    table = parse("".join(rendered(mount) + "\n" for mount in mounts))
    assert table.mounts == tuple(mounts)
    assert table.malformed == ()
