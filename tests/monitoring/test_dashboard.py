"""The dashboard: whole, its queries run on a real watcher that saw a wipe and a recovery, and told what happened."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.linux.sandbox import until
from tests.monitoring import dashboard
from tests.monitoring.dashboard import Query
from tests.monitoring.series import TARGET, Series, watcher
from tests.monitoring.server import Prometheus, Sample, free_port
from tests.monitoring.test_alerts import promtool
from tests.monitoring.watched import kube_state_metrics, running, target, watched
from tests.monitoring.wrapping import RULES

QUERIES = list(dashboard.queries())
every_query = pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.panel} {query.ref}")
POD = "skills-1"
PATIENCE = 60.0
#: A pod that its gate refused, a backup and a drill, and a run of each that failed.
KUBERNETES = """\
kube_pod_init_container_status_ready{namespace="dev",pod="skills-2",uid="u",container="volume-guard-gate"} 0
kube_pod_init_container_status_last_terminated_exitcode{namespace="dev",pod="skills-2",uid="u",container="volume-guard-gate"} 30
kube_cronjob_status_last_successful_time{namespace="dev",cronjob="skills-backup"} 1.7e+09
kube_cronjob_status_last_successful_time{namespace="dev",cronjob="skills-restore-drill"} 1.7e+09
kube_job_owner{namespace="dev",job_name="skills-backup-2",owner_kind="CronJob",owner_name="skills-backup"} 1
kube_job_failed{namespace="dev",job_name="skills-backup-2",condition="true"} 1
"""


def test_it_has_a_stable_uid_and_no_database_id() -> None:
    whole = dashboard.load()
    assert whole["uid"] == "volume-guard"
    assert "id" not in whole


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = dashboard.places()
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    for row in dashboard.load()["panels"]:
        _apart([row["gridPos"], *(panel["gridPos"] for panel in row.get("panels", ()))])
    _apart([panel["gridPos"] for panel in dashboard.load()["panels"]])


def _apart(places: list[dict[str, int]]) -> None:
    taken: set[tuple[int, int]] = set()
    for place in places:
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells


def test_every_panel_asks_the_chosen_source_and_says_what_it_shows() -> None:
    for panel in dashboard.panels():
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {source["uid"] for source in sources} == {"${datasource}"}
        assert panel["description"].endswith(".")


@every_query
def test_a_query_can_be_narrowed_to_a_cluster_and_a_namespace(query: Query) -> None:
    assert "$cluster" in query.expression
    assert "$namespace" in query.expression


def test_no_data_is_not_green() -> None:
    stats = [panel["fieldConfig"]["defaults"] for panel in dashboard.panels() if panel["type"] == "stat"]
    assert stats
    assert [
        one for one in stats if one["thresholds"]["steps"][0]["color"] == "green" or one.get("noValue") == "0"
    ] == []
    assert [query for query in QUERIES if "vector(0)" in query.expression] == []


def test_only_known_variables_are_used() -> None:
    named = {name for query in QUERIES for name in re.findall(r"\$[a-z_]+", query.expression)}
    assert named == dashboard.VARIABLES.keys()
    assert {one["name"] for one in dashboard.load()["templating"]["list"]} == {
        "datasource",
        "cluster",
        "namespace",
        "volume",
    }


def _answers(expressions: list[str], series: Series, folder: Path) -> None:
    """Asks what must come to 1 after half an hour; an error is no answer."""
    expected = [{"labels": "{}", "value": 1}]
    asked = [{"expr": one, "eval_time": "30m", "exp_samples": expected} for one in expressions]
    given = [{"series": name, "values": values} for name, values in series.items()]
    tests = {"tests": [{"interval": "1m", "input_series": given, "promql_expr_test": asked}]}
    (folder / "tests.yaml").write_text(json.dumps(tests))
    promtool("test", "rules", folder / "tests.yaml")


def _whole(target: str) -> Series:
    """Everything that a watcher gives."""
    names = (
        "volume_healthy", "files", "reference_files", "sample_kept_ratio", "avail_bytes", "size_bytes", "inodes_free",
        "inodes", "held", "last_look_timestamp_seconds", "last_change_timestamp_seconds", "tripwire_armed", "build_info",
    )  # fmt: skip
    told = {
        **watcher("volume_status_condition", "1x30", f'{target}, type="content", status="true"'),
        **watcher("incidents_total", "0x30", f'{target}, event="volume.wiped"'),
    }
    return told | {name: values for one in names for name, values in watcher(one, "1x30", target).items()}


def test_two_watchers_of_one_pod_are_two_volumes_to_every_query(tmp_path: Path) -> None:
    series: Series = {}
    for container, volume in ((TARGET, "skills"), (TARGET.replace("-watch", "-watch-letters"), "letters")):
        series |= _whole(container) | watcher("volume_info", "1x30", f'{container}, volume="{volume}"')
    expressions = {query.panel: query.filled() for query in QUERIES}
    # Whatever each of them answers, it does.
    every = [f"(count({query.filled()}) or vector(0)) >= bool 0" for query in QUERIES]
    _answers([*every, f"({expressions['Volumes watched']}) == bool 2"], series, tmp_path)


def test_the_incidents_of_a_pod_that_is_gone_are_counted(tmp_path: Path) -> None:
    (query,) = [query for query in QUERIES if query.panel == "Incidents"]
    gone, now = TARGET, TARGET.replace("skills-1", "skills-2")
    series = {
        **watcher("incidents_total", "0x5 1x5 stale", f'{gone}, event="volume.wiped"'),
        **watcher("volume_info", "1x10 stale", f'{gone}, volume="skills"'),
        **watcher("volume_info", "_x12 1x30", f'{now}, volume="skills"'),
    }
    _answers([f"({query.filled()}) > bool 0"], series, tmp_path)


@dataclass(frozen=True)
class Story:
    """What the dashboard showed.

    Attributes:
        prometheus: Still there to be asked.
        since: When it began, in seconds since 1970.
        shown: By moment (`before`, `wiped`, `after`) and query: the answer.
    """

    prometheus: Prometheus
    since: float
    shown: dict[str, dict[Query, list[Sample]]]

    def values(self, moment: str, panel: str, ref: str = "A") -> list[float]:
        return [
            sample.value
            for query, samples in self.shown[moment].items()
            if (query.panel, query.ref) == (panel, ref)
            for sample in samples
        ]

    def course(self, panel: str, ref: str = "A") -> list[list[float]]:
        """Each series of a panel from the beginning to now, with repetitions taken out."""
        (query,) = [query for query in QUERIES if (query.panel, query.ref) == (panel, ref)]
        series = self.prometheus.series(query.filled(), self.since)
        return [[value for value, before in zip(one, [None, *one], strict=False) if value != before] for one in series]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    port = free_port()
    with ExitStack() as stack:
        state = stack.enter_context(kube_state_metrics(free_port(), running(POD) + KUBERNETES))
        folder = tmp_path_factory.mktemp("prometheus")
        prometheus = stack.enter_context(Prometheus(folder, [target(POD, port), state], RULES))
        one = stack.enter_context(watched(POD, port))
        since = time.time()
        shown: dict[str, dict[Query, list[Sample]]] = {}

        def show(moment: str, *, healthy: bool) -> None:
            until(lambda: _content_is(prometheus, healthy), PATIENCE)
            shown[moment] = {query: prometheus.query(query.filled()) for query in QUERIES}

        show("before", healthy=True)
        one.sh("rm -rf $P/tenant")
        one.hears("volume.wiped")
        show("wiped", healthy=False)
        one.sh("cp -a $W/kept/tenant $P/")
        one.hears("volume.recovered")
        show("after", healthy=True)
        yield Story(prometheus, since, shown)


def _content_is(prometheus: Prometheus, healthy: bool) -> bool:
    status = "true" if healthy else "false"
    return bool(prometheus.query(f'volume_guard_volume_status_condition{{type="content", status="{status}"}} == 1'))


@pytest.mark.mounts
@every_query
def test_a_query_answers_at_some_moment_of_a_wipe_and_its_recovery(query: Query, story: Story) -> None:
    assert [moment for moment, answers in story.shown.items() if answers[query]]


@pytest.mark.mounts
def test_the_first_row_tells_the_wipe_at_a_glance(story: Story) -> None:
    moments = ("before", "wiped", "after")
    assert [story.values(moment, "Unhealthy volumes") for moment in moments] == [[0], [1], [0]]
    assert [story.values(moment, "Volumes watched") for moment in moments] == [[1], [1], [1]]
    assert [story.values(moment, "Files remaining") for moment in moments] == [[1], [0], [1]]
    assert story.values("before", "Incidents") in ([], [0]), "an increase needs two scrapes"
    (incidents,) = story.values("after", "Incidents")
    assert incidents > 0
    (oldest,) = story.values("after", "Time since last check")
    assert 0 <= oldest < 30


@pytest.mark.mounts
def test_the_table_has_one_row_of_numbers_for_the_volume(story: Story) -> None:
    numbers = {ref: story.values("wiped", "Each watched volume", ref) for ref in "ABC"}
    assert numbers == {"A": [0], "B": [0], "C": [10]}
    (query,) = [query for query in QUERIES if (query.panel, query.ref) == ("Each watched volume", "G")]
    (sample,) = story.shown["wiped"][query]
    assert sample.labels["volume"] == "skills"
    assert (sample.labels["kind"], sample.labels["fstype"], sample.labels["node"]) == ("memory", "tmpfs", "node-1")


@pytest.mark.mounts
def test_the_courses_show_the_fall_and_the_return(story: Story) -> None:
    # A range ends at a whole step, up to a second ago.
    until(lambda: [course[-3:] for course in story.course("Health")] == [[1, 0, 1]], PATIENCE)
    # Recovery is told by the sample; the count of all files follows it.
    until(lambda: story.course("Files and reference")[0][-1] == 10, PATIENCE)
    (files,) = story.course("Files and reference")
    assert (files[0], files[-1], min(files)) == (10, 10, 0)
    assert story.course("Files and reference", "B") == [[10]]
    conditions = story.course("Conditions")
    assert len(conditions) == 5
    assert sum(0 in course for course in conditions) == 1


@pytest.mark.mounts
def test_what_kubernetes_says_is_shown(story: Story) -> None:
    assert story.values("after", "Blocked pods") == [30]
    assert story.values("after", "Failed runs") == [1]
    assert all(
        age > 0
        for panel in ("Time since last backup", "Time since last restore drill")
        for age in story.values("after", panel)
    )


@pytest.mark.mounts
def test_the_variables_offer_what_is_watched(story: Story) -> None:
    selectors = {
        one["name"]: re.fullmatch(r"label_values\((.+), (\w+)\)", one["definition"])
        for one in dashboard.load()["templating"]["list"]
        if one["type"] == "query"
    }
    offered = {}
    for name, match in selectors.items():
        assert match is not None
        selector = match[1].replace("$namespace", "dev").replace("$cluster", ".*")
        offered[name] = story.prometheus.label_values(match[2], selector)
    assert offered == {"cluster": [], "namespace": ["dev"], "volume": ["skills"]}


@pytest.mark.mounts
def test_the_annotation_marks_the_changes(story: Story) -> None:
    (annotation,) = dashboard.load()["annotations"]["list"]
    query = Query("", "", annotation["expr"], instant=False)
    assert story.prometheus.query(query.filled())
