"""What a case of an alert is, and the series that cases are made of, in promtool's notation. Values only."""

from dataclasses import dataclass, field

#: One minute a value. `0x4 1x5` is five noughts, then six ones; `_x3` is no sample; `stale` is the end of a series.
Series = dict[str, str]
Labels = dict[str, str]

POD: Labels = {"namespace": "dev", "pod": "skills-1"}
CLAIM: Labels = {"namespace": "dev", "persistentvolumeclaim": "skills"}
CRONJOB: Labels = {"namespace": "dev", "cronjob": "skills-backup"}
DRILL = "skills-restore-drill"
#: What Google's Prometheus, or the operator's, adds to what a watcher gives.
TARGET = 'namespace="dev", pod="skills-1", container="volume-guard-watch", job="dev/volume-guard"'
GATE = 'namespace="dev", pod="skills-1", uid="u-1", container="volume-guard-gate"'
WATCH = 'namespace="dev", pod="skills-1", uid="u-1", container="volume-guard-watch"'


@dataclass(frozen=True)
class Case:
    """One stretch of time.

    Attributes:
        alert: The alert that is looked at.
        sentence: What the case shows.
        series: What Prometheus holds.
        fires: By time: the labels of each alert that fires then, without those of the rule.
    """

    alert: str
    sentence: str
    series: Series
    fires: dict[str, list[Labels]] = field(default_factory=dict)


def condition(kind: str, values: str, status: str = "false", target: str = TARGET) -> Series:
    return {f'volume_guard_volume_status_condition{{{target}, type="{kind}", status="{status}"}}': values}


def incidents(event: str, values: str) -> Series:
    return {f'volume_guard_incidents_total{{{TARGET}, event="{event}"}}': values}


def watcher(name: str, values: str, target: str = TARGET) -> Series:
    return {f"volume_guard_{name}{{{target}}}": values}


def gate(name: str, values: str, more: str = "", container: str = GATE) -> Series:
    return {f"kube_pod_init_container_{name}{{{container}{more}}}": values}


def pods(name: str, values: str, more: str = "", pod: str = "skills-1") -> Series:
    return {f'kube_pod_{name}{{namespace="dev", pod="{pod}", uid="u-{pod}"{more}}}': values}


def bound(claim: str = "skills", values: str = "1x180") -> Series:
    return {
        f'kube_persistentvolumeclaim_status_phase{{namespace="dev", persistentvolumeclaim="{claim}", phase="Bound"}}': values
    }


def mounted(values: str, pod: str = "skills-1", phase: str = "Running") -> Series:
    """A pod with the claim among its volumes."""
    return {
        **pods(
            "spec_volumes_persistentvolumeclaims_info", values, ', volume="data", persistentvolumeclaim="skills"', pod
        ),
        **pods("status_phase", values, f', phase="{phase}"', pod),
    }


def owned(kind: str, pod: str = "skills-1", values: str = "1x180") -> Series:
    return pods("owner", values, f', owner_kind="{kind}", owner_name="skills"', pod)


def cronjob(name: str, values: str, cronjob: str = "skills-backup") -> Series:
    return {f'kube_cronjob_{name}{{namespace="dev", cronjob="{cronjob}"}}': values}


def every(period: str, name: str = "skills-backup") -> Series:
    """A schedule whose last run was at 0."""
    seconds = {"1h": 3600, "2h": 7200}[period]
    return {
        **cronjob("status_last_schedule_time", "0x400", name),
        **cronjob("next_schedule_time", f"{seconds}x400", name),
    }


def job(name: str, start: str, failed: str, owner: str = "skills-backup") -> Series:
    """A run of a CronJob."""
    labels = f'namespace="dev", job_name="{name}"'
    return {
        f"kube_job_status_start_time{{{labels}}}": f"{start}x14",
        f'kube_job_owner{{{labels}, owner_kind="CronJob", owner_name="{owner}"}}': "1x14",
        f'kube_job_failed{{{labels}, condition="true"}}': failed,
    }


REFUSED = ', reason="Error"'
