"""The page that Prometheus reads: text format 0.0.4."""

import pytest

from guard.report.metrics import CONTENT_TYPE, Metric, render


def metric(*samples: tuple[dict[str, str], float], sentence: str = "How many.") -> Metric:
    return Metric("volume_guard_files", "gauge", sentence, samples)


def test_a_family_has_its_help_its_type_and_its_samples() -> None:
    page = render(
        [metric(({}, 3.0)), Metric("b_total", "counter", "Lines.", (({"event": "x"}, 1.0), ({"event": "y"}, 0.0)))]
    )
    assert page == (
        "# HELP volume_guard_files How many.\n# TYPE volume_guard_files gauge\nvolume_guard_files 3\n"
        '# HELP b_total Lines.\n# TYPE b_total counter\nb_total{event="x"} 1\nb_total{event="y"} 0\n'
    )


def test_a_family_without_samples_is_still_described() -> None:
    assert render([metric()]) == "# HELP volume_guard_files How many.\n# TYPE volume_guard_files gauge\n"


def test_labels_stand_in_their_order_and_are_separated_by_commas() -> None:
    assert 'files{b="1",a="2"} 0\n' in render([metric(({"b": "1", "a": "2"}, 0.0))])


@pytest.mark.parametrize(
    ("value", "shown"),
    [('a"b', r"a\"b"), ("a\\b", r"a\\b"), ("a\nb", r"a\nb"), ('\\"\n', r"\\\"\n"), ("데이터", "데이터"), ("", "")],
)
def test_what_would_end_a_label_is_escaped_and_nothing_else(value: str, shown: str) -> None:
    assert f'{{name="{shown}"}} 1\n' in render([metric(({"name": value}, 1.0))])


def test_a_help_text_escapes_backslash_and_line_break_but_no_quote() -> None:
    assert '# HELP volume_guard_files a\\\\b\\nc"d\n' in render([metric(sentence='a\\b\nc"d')])


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (1.0, "1"), (1764093600.25, "1764093600.250"), (1e15, "1000000000000000"), (-2.5, "-2.500")],
)
def test_a_whole_number_has_no_point_and_any_other_has_milliseconds(value: float, shown: str) -> None:
    assert render([metric(({}, value))]).endswith(f"volume_guard_files {shown}\n")


def test_an_empty_page_is_one_line_break() -> None:
    assert render([]) == "\n"


def test_the_type_names_the_format_and_its_version() -> None:
    assert CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"
