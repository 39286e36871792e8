"""Settings: the contract's table literally, and everything that a person can get wrong, reported at once."""

import os
import re
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard import arguments
from guard.outcome import Severity
from guard.report.text import edit_distance
from guard.settings import (
    MODELS,
    CheckSettings,
    DoctorSettings,
    Reporting,
    WatchSettings,
    fields,
    flag,
    load,
    reporting,
    shown,
    unknown_names,
)
from guard.values import duration
from guard.volume.kinds import Kind
from guard.volume.loss import LossRule
from guard.volume.verdict import Expectation

_ALL = frozenset(MODELS)
_VOLUME = _ALL - {"doctor"}
#: To the doctor, a path that nobody gave is not a fact.
_NO_FACT = ("doctor", "GUARD_PATH")
_CHECK = frozenset({"check"})
_WATCH = frozenset({"watch"})

#: Each setting's default as a user writes it, the value that the rooms get, and the commands that know it.
TABLE: dict[str, tuple[str, object, frozenset[str]]] = {
    "GUARD_VOLUME": ("required", "v", _VOLUME),
    "GUARD_PATH": ("/app/skills", "/app/skills", _ALL),
    "GUARD_KINDS": ("block,network,fuse", frozenset({Kind.BLOCK, Kind.NETWORK, Kind.FUSE}), _VOLUME),
    "GUARD_ENFORCE": ("true", True, _CHECK),
    "GUARD_WRITABLE": ("true", True, _VOLUME),
    "GUARD_WAIT": ("60s", 60.0, _CHECK),
    "GUARD_PROBE_TIMEOUT": ("10s", 10.0, _VOLUME),
    "GUARD_IGNORE": ("", (), _VOLUME),
    "GUARD_MAX_LOSS": ("0.8", 0.8, _VOLUME),
    "GUARD_SHRINK": ("0.3", 0.3, _VOLUME),
    "GUARD_MIN_FILES": ("0", 0, _VOLUME),
    "GUARD_INTERVAL": ("10s", 10.0, _WATCH),
    "GUARD_SETTLE": ("2s", 2.0, _WATCH),
    "GUARD_ON_WIPE": ("log", "log", _WATCH),
    "GUARD_LISTEN": ("0.0.0.0:9808", "0.0.0.0:9808", _WATCH),
    "GUARD_LOG_FORMAT": ("auto", "auto", _ALL),
    "GUARD_LOG_LEVEL": ("info", Severity.INFO, _ALL),
    "GUARD_TERMINATION_LOG": ("/dev/termination-log", "/dev/termination-log", _ALL),
    "GUARD_POD": ("", None, _ALL),
    "GUARD_NODE": ("", None, _ALL),
    "GUARD_NAMESPACE": ("", None, _ALL),
}


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("GUARD"):
            monkeypatch.delenv(name)


def loaded(command: str = "check", **flags: str) -> Reporting:
    found, problems = load(MODELS[command], {"GUARD_VOLUME": "v"} | flags)
    assert problems == []
    assert found is not None
    return found


def problems_of(command: str = "check", **flags: str) -> list[str]:
    found, problems = load(MODELS[command], {"GUARD_VOLUME": "v"} | flags)
    assert (found is None) is bool(problems)
    return problems


def set_to(name: str, text: str, command: str = "check") -> object:
    return value(loaded(command, **{name: text}), name)


def value(found: Reporting, name: str) -> object:
    return next(
        getattr(found, field) for field, info in type(found).model_fields.items() if info.validation_alias == name
    )


# The table.


def test_the_commands_with_settings_are_those_of_the_contract() -> None:
    assert set(MODELS) == {"check", "adopt", "accept", "hold", "release", "watch", "doctor"}


@pytest.mark.parametrize("command", sorted(_ALL))
def test_a_command_knows_the_settings_of_the_table_and_no_other(command: str) -> None:
    assert set(fields(MODELS[command])) == {name for name, (_, _, commands) in TABLE.items() if command in commands}


@pytest.mark.parametrize("name", TABLE)
def test_every_setting_has_the_default_of_the_table_and_shows_it_as_it_is_written(name: str) -> None:
    written, default, commands = TABLE[name]
    for command in commands:
        own, known = (None, "") if (command, name) == _NO_FACT else (default, written)
        assert value(loaded(command), name) == own
        assert shown(fields(MODELS[command])[name]) == known


@pytest.mark.parametrize("name", [name for name, (written, _, _) in TABLE.items() if written not in {"", "required"}])
def test_a_default_as_it_is_shown_can_be_written_and_means_the_same(name: str) -> None:
    written, default, commands = TABLE[name]
    assert set_to(name, written, min(commands)) == default


@pytest.mark.parametrize("name", TABLE)
def test_every_setting_says_why_it_exists(name: str) -> None:
    for command in TABLE[name][2]:
        reason = fields(MODELS[command])[name].description
        assert reason is not None
        assert reason.endswith(".")


@pytest.mark.parametrize(("name", "expected"), [("GUARD_PATH", "--path"), ("GUARD_MIN_FILES", "--min-files")])
def test_a_setting_has_the_flag_of_the_same_name(name: str, expected: str) -> None:
    assert flag(name) == expected


def test_the_rooms_get_an_expectation_of_what_was_set() -> None:
    found = loaded(GUARD_PATH="/data", GUARD_KINDS="memory", GUARD_WRITABLE="false", GUARD_MAX_LOSS="0.9",
                   GUARD_SHRINK="0.5", GUARD_MIN_FILES="7", GUARD_PROBE_TIMEOUT="3s",
                   GUARD_IGNORE="cache/**, *.tmp")  # fmt: skip
    assert isinstance(found, CheckSettings)
    assert found.expectation() == Expectation(
        "/data", "v", frozenset({Kind.MEMORY}), writable=False, loss=LossRule(0.9, 0.5, 7), probe_timeout=3.0,
        ignore=("cache/**", "*.tmp"),
    )  # fmt: skip


# Where values come from.


def test_flags_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARD_WAIT", "5s")
    assert set_to("GUARD_VOLUME", "v") == "v"
    assert value(loaded(), "GUARD_WAIT") == 5.0
    assert value(loaded(GUARD_WAIT="7s"), "GUARD_WAIT") == 7.0


@pytest.mark.parametrize("name", sorted(set(TABLE) - {"GUARD_VOLUME"}))
def test_empty_means_unset_in_the_environment_and_as_a_flag(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    _, default, commands = TABLE[name]
    monkeypatch.setenv(name, "")
    for command in commands:
        own = None if (command, name) == _NO_FACT else default
        assert value(loaded(command), name) == own
        assert value(loaded(command, **{name: ""}), name) == own


def test_an_empty_flag_leaves_the_environment_standing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARD_VOLUME", "from-the-environment")
    found, problems = load(CheckSettings, {"GUARD_VOLUME": ""})
    assert problems == []
    assert isinstance(found, CheckSettings)
    assert found.volume == "from-the-environment"


@pytest.mark.parametrize("name", ["guard_wait", "Guard_Wait", "WAIT", "wait", "GUARD_WAIT_"])
def test_names_are_compared_exactly(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1s")
    assert value(loaded(), "GUARD_WAIT") == 60.0


def test_variables_named_like_fields_are_somebody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in CheckSettings.model_fields:
        monkeypatch.setenv(field, "theirs")
        if field != "path":
            monkeypatch.setenv(field.upper(), "theirs")
    found = loaded()
    assert isinstance(found, CheckSettings)
    assert (found.path, found.volume, found.wait) == ("/app/skills", "v", 60.0)


# Values.


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("10s", 10.0), ("5m", 300.0), ("2h", 7200.0), ("7d", 604800.0), ("0", 0.0), ("0s", 0.0),
     ("1.5h", 5400.0), ("0.25s", 0.25), ("999999999d", 999999999 * 86400.0)],
)  # fmt: skip
def test_a_duration_is_read_in_its_unit(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)
    assert set_to("GUARD_WAIT", text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["10", "1", "-1s", "+1s", "10 s", " 10s", "10s ", "10S", "10sec", "1h30m", "1e3s", "s", "1.s", ".5s", "inf", "nan",
     "1,5s", "\uff11\uff10s", "10w", "9999999999s", "10s\n", "true"],
)  # fmt: skip
def test_a_duration_in_any_other_spelling_is_refused_with_the_right_ones(text: str) -> None:
    (problem,) = problems_of(GUARD_WAIT=text)
    assert problem.startswith(f"--wait={text!r}: ")
    assert "500ms, 10s, 5m, 2h or 7d" in problem


@pytest.mark.parametrize(("name", "command"), [("GUARD_PROBE_TIMEOUT", "check"), ("GUARD_INTERVAL", "watch"), ("GUARD_SETTLE", "watch")])  # fmt: skip
@pytest.mark.parametrize("text", ["0", "0s", "0.0ms"])
def test_a_deadline_of_nothing_is_refused(name: str, command: str, text: str) -> None:
    (problem,) = problems_of(command, **{name: text})
    assert problem == f"{flag(name)}={text!r}: must be longer than 0: write 500ms, 10s, 5m, 2h or 7d"


def test_waiting_not_at_all_is_allowed() -> None:
    assert set_to("GUARD_WAIT", "0") == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("block", {Kind.BLOCK}),
        ("block,network", {Kind.BLOCK, Kind.NETWORK}),
        (" node-disk , empty-dir ,", {Kind.NODE_DISK, Kind.EMPTY_DIR}),
        ("memory,config,overlay,unknown,fuse", {Kind.MEMORY, Kind.CONFIG, Kind.OVERLAY, Kind.UNKNOWN, Kind.FUSE}),
        ("any", set(Kind)),
        ("block,any", set(Kind)),
        ("block,block", {Kind.BLOCK}),
    ],
)
def test_kinds_are_a_list_with_commas(text: str, expected: set[Kind]) -> None:
    assert set_to("GUARD_KINDS", text) == expected


@pytest.mark.parametrize(
    "text", ["blok", "block;network", "Block", "block network", "any,blok", ",", " ", '["block"]', "all"]
)
def test_an_unknown_kind_is_refused_with_the_known_ones(text: str) -> None:
    (problem,) = problems_of(GUARD_KINDS=text)
    assert problem.startswith("--kinds=")
    assert problem.endswith("or others of block,network,fuse,node-disk,memory,empty-dir,config,overlay,unknown,any")
    meant = re.search("': write (.*), or others", problem)
    assert meant, problem
    assert set_to("GUARD_KINDS", meant[1])  # ready to paste


@pytest.mark.parametrize("text", ["true", "false", "1", "0", "yes", "no"])
def test_a_switch_is_read(text: str) -> None:
    assert set_to("GUARD_ENFORCE", text) is (text in {"true", "1", "yes"})


@pytest.mark.parametrize(
    ("name", "text", "command"),
    [
        ("GUARD_PATH", "app/skills", "check"),
        ("GUARD_PATH", "./skills", "doctor"),
        ("GUARD_VOLUME", "x" * 254, "check"),
        ("GUARD_WRITABLE", "maybe", "check"),
        ("GUARD_ENFORCE", "perhaps", "check"),
        ("GUARD_MIN_FILES", "-1", "check"),
        ("GUARD_MIN_FILES", "many", "check"),
        ("GUARD_MIN_FILES", "1.5", "check"),
        ("GUARD_MAX_LOSS", "1.01", "check"),
        ("GUARD_MAX_LOSS", "-0.1", "check"),
        ("GUARD_MAX_LOSS", "80%", "check"),
        ("GUARD_MAX_LOSS", "nan", "check"),
        ("GUARD_SHRINK", "inf", "check"),
        ("GUARD_LOG_FORMAT", "xml", "check"),
        ("GUARD_LOG_LEVEL", "loud", "check"),
        ("GUARD_POD", "p" * 254, "check"),
        ("GUARD_ON_WIPE", "panic", "watch"),
    ],
)
def test_a_malformed_value_is_refused_with_its_name_and_itself(name: str, text: str, command: str) -> None:
    (problem,) = problems_of(command, **{name: text})
    assert problem.startswith(f"{flag(name)}='{text[:100]}")
    assert problem.partition("': ")[2]
    assert not re.search(r"[Ii]nput|should|unable|valid", problem), "a sentence of pydantic's"


@pytest.mark.parametrize("text", ["cache/**,*.tmp", "a..b", ".cache", " a , b/*/c "])
def test_what_is_ignored_is_a_list_of_patterns(text: str) -> None:
    assert set_to("GUARD_IGNORE", text) == tuple(item.strip() for item in text.split(","))


@pytest.mark.parametrize("text", ["/cache", "a,/b", "..", "../a", "a/../b", "a,,b", "a,", ",", " "])
def test_a_pattern_that_is_empty_or_leaves_the_volume_is_refused(text: str) -> None:
    (problem,) = problems_of(GUARD_IGNORE=text)
    assert "write patterns of paths below GUARD_PATH, such as cache/**,*.tmp" in problem


@pytest.mark.parametrize("text", ["0.0.0.0:9808", "127.0.0.1:0", "[::]:9808", "localhost:65535", "off"])
def test_an_address_to_listen_on_is_host_and_port_or_off(text: str) -> None:
    found = loaded("watch", GUARD_LISTEN=text)
    assert isinstance(found, WatchSettings)
    assert found.listen == text


@pytest.mark.parametrize(
    "text", ["9808", ":9808", "0.0.0.0:", "0.0.0.0:http", "0.0.0.0:65536", "OFF", "0.0.0.0:٩", "x:-1", "[fe80::1%ä]:80",
             "[fe80::1%\ud55c]:80", "0.0.0.0:" + "9" * 5000]
)  # fmt: skip
def test_an_address_of_another_shape_is_refused(text: str) -> None:
    (problem,) = problems_of("watch", GUARD_LISTEN=text)
    assert problem.startswith("--listen=")
    assert "address:port" in problem or "the port is not a number below 65536" in problem


@pytest.mark.parametrize("text", ["x", "x" * 253, "데이터", " ", "a,b", "0", "true"])
def test_the_volumes_name_is_taken_as_it_stands(text: str) -> None:
    assert set_to("GUARD_VOLUME", text) == text


@pytest.mark.parametrize("text", ["warning", "WARNING", "Warning"])
def test_a_log_level_is_a_severity_in_any_case(text: str) -> None:
    assert set_to("GUARD_LOG_LEVEL", text) is Severity.WARNING


# Everything at once.


@pytest.mark.parametrize("command", sorted(_VOLUME))
def test_a_missing_volume_says_the_variable_the_flag_and_the_reason(command: str) -> None:
    _, problems = load(MODELS[command], {})
    assert problems == [
        "GUARD_VOLUME is missing (or --volume): the name that the volume's marker must carry, compared exactly"
    ]


def test_the_doctor_needs_no_volume() -> None:
    found, problems = load(DoctorSettings, {})
    assert problems == []
    assert isinstance(found, DoctorSettings)


def test_everything_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARD_WAIT", "soon")
    monkeypatch.setenv("GUARD_KINDS", "blok")
    found, problems = load(CheckSettings, {"GUARD_MIN_FILES": "few", "GUARD_PATH": "skills"})
    assert found is None
    assert sorted(problem.split("=")[0].split()[0] for problem in problems) == [
        "--min-files", "--path", "GUARD_KINDS", "GUARD_VOLUME", "GUARD_WAIT",
    ]  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("as_flag", [False, True], ids=["variable", "flag"])
def test_bytes_that_are_not_utf_8_are_one_problem_under_the_name_that_was_written(
    monkeypatch: pytest.MonkeyPatch, name: str, as_flag: bool
) -> None:
    text = "/a\udcff"
    flags = {name: text} if as_flag else {}
    monkeypatch.setenv("GUARD_VOLUME", "v")
    monkeypatch.setenv(name, "v" if as_flag else text)
    for command in TABLE[name][2]:
        _, (problem,) = load(MODELS[command], flags)
        assert problem == f"{flag(name) if as_flag else name}='/a\\udcff': not UTF-8"
        assert reporting(flags).log_format == "auto"


def test_a_wrong_setting_of_reporting_takes_none_of_the_others_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARD_TERMINATION_LOG", "/tmp/term")
    monkeypatch.setenv("GUARD_LOG_LEVEL", "loud")
    monkeypatch.setenv("GUARD_POD", "p" * 254)
    found = reporting({"GUARD_LOG_FORMAT": "console", "GUARD_NODE": ""})
    assert (found.termination_log, found.log_format) == ("/tmp/term", "console")
    assert (found.log_level, found.pod, found.node) == (Severity.INFO, None, None)


def test_flags_and_words_of_a_command_are_read_apart() -> None:
    found = arguments.parse("hold", ["--volume", "v", "restore of Monday", "--path=/data", "--wait-", "x"])
    assert found.settings == {"GUARD_VOLUME": "v", "GUARD_PATH": "/data"}
    assert found.extras == {"reason": "restore of Monday"}
    assert found.problems == ("unknown flag --wait- of guard hold: the nearest known one is --path",)


@pytest.mark.parametrize(
    ("command", "words", "problems"),
    [
        ("check", ["--vol", "x", "--wai=1s"], [
            "unknown flag --vol of guard check: the nearest known one is --volume",
            "unknown flag --wai of guard check: the nearest known one is --wait"]),
        ("check", ["--path"], ["--path needs a value"]),
        ("check", ["--path", "--wait", "1s"], ["--path needs a value"]),
        ("check", ["-x"], ["unknown flag -x of guard check: the nearest known one is --pod"]),
        ("check", ["now"], ["unexpected argument 'now' of guard check"]),
        ("adopt", ["--replace", "--paht=x"], [
            "--replace needs a value", "unknown flag --paht of guard adopt: the nearest known one is --path"]),
        ("hold", [], ["guard hold: REASON is missing: why, for whoever reads the refusal"]),
        ("hold", ["--over=x", " "], [
            "--over takes no value", "guard hold: REASON is missing: why, for whoever reads the refusal"]),
        ("hold", ["Monday's", "restore"], ["unexpected argument 'restore' of guard hold"]),
        ("doctor", ["x", "--output", "jsn", "--fail-on=never "], [
            "--output='jsn': write table, json, sarif or github; the nearest is json",
            "--fail-on='never ': write error, warning, info or never; the nearest is never"]),
    ],
)  # fmt: skip
def test_everything_that_cannot_be_read_is_said_at_once_and_hides_no_setting(
    command: str, words: list[str], problems: list[str]
) -> None:
    found = arguments.parse(command, ["--path=rel", *words])
    assert list(found.problems) == problems
    assert found.settings["GUARD_PATH"] == "rel"


def test_a_value_may_begin_with_a_dash() -> None:
    assert arguments.parse("check", ["--wait", "-1s"]).settings == {"GUARD_WAIT": "-1s"}
    assert arguments.parse("doctor", ["-", "--live", "-"]).extras == {"files": ["-"], "live": ["-"]}


# Unknown variables.


def test_every_setting_of_every_command_is_known_to_all() -> None:
    assert unknown_names(TABLE) == []


@pytest.mark.parametrize(
    ("name", "nearest", "distance"),
    [
        ("GUARD_VOLUMES", "GUARD_VOLUME", 1),
        ("GUARD_VOLUM", "GUARD_VOLUME", 1),
        ("GUARD_KIND", "GUARD_KINDS", 1),
        ("GUARD_PROBE_TIMOUT", "GUARD_PROBE_TIMEOUT", 1),
        ("GUARD_ENFROCE", "GUARD_ENFORCE", 2),
        ("GUARD_", "GUARD_POD", 3),
        ("GUARD_MAXLOSS", "GUARD_MAX_LOSS", 1),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest_known_one(name: str, nearest: str, distance: int) -> None:
    assert unknown_names([name]) == [(name, nearest, distance)]


@pytest.mark.parametrize(
    "name",
    [
        "GUARD_SERVICE_HOST", "GUARD_SERVICE_PORT", "GUARD_SERVICE_PORT_HTTP", "GUARD_PORT", "GUARD_PORT_9808_TCP",
        "GUARD_PORT_9808_TCP_ADDR", "GUARD_PORT_9808_TCP_PORT", "GUARD_PORT_9808_TCP_PROTO",
        "GUARD_WATCH_SERVICE_HOST", "GUARD_WATCH_PORT_80_TCP_ADDR", "GUARD_METRICS_V2_SERVICE_PORT_WEB_UI",
        "GUARD_VOLUME_PORT", "GUARD_VOLUME_SERVICE_HOST",
    ],
)  # fmt: skip
def test_what_a_service_called_guard_injects_is_let_through(name: str) -> None:
    assert unknown_names([name]) == []


@pytest.mark.parametrize(
    "name",
    [
        "GUARD_SERVICE_HOSTS",
        "GUARD_SERVICE",
        "GUARD_PORTS",
        "GUARD_REPORT",
        "GUARD_port",
        "GUARD_SUPPORT",
        "GUARD_IMPORT",
        "GUARD_PORT_X",
        "GUARD_PORT_80_TCP_HOST",
        "GUARD_WINDOW",
    ],
)
def test_what_only_looks_like_a_service_link_is_unknown(name: str) -> None:
    assert [found[0] for found in unknown_names([name])] == [name]


@pytest.mark.parametrize("name", ["PATH", "guard_volum", "Guard_Volum", "GUARDIAN_KEY", "GUARD", "MY_GUARD_VOLUM"])
def test_variables_without_our_prefix_are_none_of_our_business(name: str) -> None:
    assert unknown_names([name]) == []


def test_all_unknown_variables_are_named_in_order() -> None:
    assert [name for name, _, _ in unknown_names(["GUARD_Z", "PATH", "GUARD_A", "GUARD_VOLUME"])] == [
        "GUARD_A",
        "GUARD_Z",
    ]


def naive_distance(one: str, other: str) -> int:
    """Levenshtein's definition, word by word."""

    @cache
    def between(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        return min(between(i - 1, j) + 1, between(i, j - 1) + 1, between(i - 1, j - 1) + (one[i - 1] != other[j - 1]))

    return between(len(one), len(other))


@settings(max_examples=100)
@given(st.text("GUARD_", max_size=8), st.text("GUARD_", max_size=8))
def test_the_edit_distance_is_levenshteins(one: str, other: str) -> None:
    assert edit_distance(one, other) == naive_distance(one, other)


@settings(max_examples=80)
@given(st.sampled_from(sorted(TABLE)), st.text(max_size=12))
def test_any_text_in_any_setting_gives_settings_or_sentences_and_never_a_traceback(name: str, text: str) -> None:
    found, problems = load(MODELS[min(TABLE[name][2])], {"GUARD_VOLUME": "v", name: text})
    assert (found is None) is bool(problems)
    assert all(flag(name) in problem for problem in problems)
