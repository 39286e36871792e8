"""Cases of the alerts: series in promtool's notation, and what fires when. Values only; test_alerts.py runs them."""

from dataclasses import dataclass, field

#: One minute a value. `0x4 1x5` is five noughts, then six ones; `_x3` is no sample; `stale` is the end of a series.
Series = dict[str, str]
Labels = dict[str, str]

POD: Labels = {"namespace": "dev", "pod": "skills-1"}
CLAIM: Labels = {"namespace": "dev", "persistentvolumeclaim": "skills"}
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


_REFUSED = ', reason="Error"'

WATCHERS = [
    Case(
        "VolumeGuardWiped", "a wipe fires at once, and is over with the recovery",
        {**condition("content", "0x4 1x5 0x5"), **condition("content", "1x4 0x5 1x5", "true")},
        {"4m": [], "5m": [POD], "10m": [POD], "11m": []},
    ),
    Case(
        "VolumeGuardWiped", "each cluster's wipe is an alert of its own",
        {
            **condition("content", "1x9", target=f'{TARGET}, cluster="a"'),
            **condition("content", "0x9", target=f'{TARGET}, cluster="b"'),
        },
        {"5m": [{**POD, "cluster": "a"}]},
    ),
    Case("VolumeGuardWiped", "no metrics, no alert", watcher("files", "9x9"), {"5m": []}),
    Case(
        "VolumeGuardWiped", "a volume that can't be judged is not wiped",
        condition("content", "1x9", "unknown"), {"5m": []},
    ),
    Case(
        "VolumeGuardShrunk", "a large loss fires for an hour",
        incidents("volume.shrunk", "0x5 1x120"), {"5m": [], "10m": [POD], "60m": [POD], "67m": []},
    ),
    Case("VolumeGuardShrunk", "a restart of the watcher is no loss", incidents("volume.shrunk", "2x5 0x20"), {"15m": []}),
    Case("VolumeGuardShrunk", "no metrics, no alert", watcher("files", "9x9"), {"5m": []}),
    Case(
        "VolumeGuardUnmounted", "an unmounted volume fires at once",
        condition("mounted", "0x4 1x5"), {"4m": [], "5m": [POD]},
    ),
    Case("VolumeGuardUnmounted", "a pod that is gone fires no more", condition("mounted", "1x4 stale"), {"4m": [POD], "5m": []}),
    Case(
        "VolumeGuardReplaced", "another volume fires at once",
        {**condition("identity", "0x4 1x5"), **incidents("volume.replaced", "0x4 1x5")}, {"4m": [], "5m": [POD]},
    ),
    Case(
        "VolumeGuardReplaced", "a broken marker is not another volume",
        {**condition("identity", "1x9"), **incidents("volume.replaced", "0x9"), **incidents("marker.invalid", "1x9")},
        {"5m": []},
    ),
    Case("VolumeGuardReplaced", "what was replaced and is right again is over", incidents("volume.replaced", "1x9"), {"5m": []}),
    Case(
        "VolumeGuardMarker", "a missing marker fires at once",
        {**condition("identity", "0x4 1x5"), **incidents("marker.missing", "0x4 1x5")}, {"4m": [], "5m": [POD]},
    ),
    Case(
        "VolumeGuardMarker", "another volume is told by its own alert",
        {**condition("identity", "1x9"), **incidents("volume.replaced", "1x9"), **incidents("marker.missing", "0x9")},
        {"5m": []},
    ),
    Case(
        "VolumeGuardMarker", "an identity that is lost for a reason unheard of is told, too",
        condition("identity", "1x9"), {"5m": [POD]},
    ),
    Case("VolumeGuardMarker", "no metrics, no alert", watcher("files", "9x9"), {"5m": []}),
    Case(
        "VolumeGuardUnreachable", "a volume that does not answer fires after a minute",
        condition("content", "0x4 1x5", "unknown"), {"5m": [], "6m": [POD]},
    ),
    Case("VolumeGuardUnreachable", "no metrics, no alert", watcher("files", "9x9"), {"5m": []}),
    Case(
        "VolumeGuardReadOnly", "a volume that can't be written fires at once",
        condition("writable", "0x4 1x5"), {"4m": [], "5m": [POD]},
    ),
    Case("VolumeGuardReadOnly", "no metrics, no alert", watcher("files", "9x9"), {"5m": []}),
    Case(
        "VolumeGuardBlind", "five minutes without a look are too many",
        watcher("last_look_timestamp_seconds", "0+60x5 300x10"), {"10m": [], "11m": [POD]},
    ),
    Case("VolumeGuardBlind", "looks keep it quiet", watcher("last_look_timestamp_seconds", "0+60x20"), {"20m": []}),
    Case("VolumeGuardBlind", "no metrics, no alert: that is another's matter", watcher("files", "9x9"), {"5m": []}),
    Case(
        "VolumeGuardNeverChanges", "a week without a change is told",
        watcher("last_change_timestamp_seconds", f"0x{8 * 24 * 60}"),
        {f"{7 * 24 * 60}m": [], f"{7 * 24 * 60 + 1}m": [POD]},
    ),
    Case(
        "VolumeGuardNeverChanges", "a volume in use is not told",
        watcher("last_change_timestamp_seconds", f"0+60x{8 * 24 * 60}"), {f"{8 * 24 * 60}m": []},
    ),
]  # fmt: skip

KUBERNETES = [
    Case(
        "VolumeGuardGateRefusing", "an exit status that refuses fires after two minutes",
        {
            **gate("status_ready", "0x10"),
            **gate("status_last_terminated_exitcode", "_x4 30x6"),
            **gate("status_last_terminated_reason", "_x4 1x6", _REFUSED),
        },
        {"5m": [], "6m": [POD]},
    ),
    Case(
        "VolumeGuardGateRefusing", "the reason is enough where there are no exit codes",
        {**gate("status_ready", "0x10"), **gate("status_last_terminated_reason", "1x10", _REFUSED)}, {"5m": [POD]},
    ),
    Case(
        "VolumeGuardGateRefusing", "an exit status is enough where there is no reason",
        {**gate("status_ready", "0x10"), **gate("status_last_terminated_exitcode", "10x10")}, {"5m": [POD]},
    ),
    Case(
        "VolumeGuardGateRefusing", "a refusal that was mended is over",
        {
            **gate("status_ready", "0x5 1x10"),
            **gate("status_last_terminated_exitcode", "15x15"),
            **gate("status_terminated_reason", "_x5 1x10", ', reason="Completed"'),
        },
        {"5m": [POD], "6m": []},
    ),
    Case(
        "VolumeGuardGateRefusing", "a gate that waits for the first time has refused nothing",
        {**gate("status_ready", "0x10"), **gate("status_running", "1x10")}, {"10m": []},
    ),
    Case(
        "VolumeGuardGateRefusing", "another init container's failure is not the gate's",
        gate("status_last_terminated_exitcode", "1x10", container=GATE.replace("volume-guard-gate", "migrate")),
        {"10m": []},
    ),
    Case(
        "VolumeGuardGateRefusing", "a held volume is told by its own alert",
        {
            **gate("status_ready", "0x10"),
            **gate("status_last_terminated_exitcode", "23x10"),
            **gate("status_last_terminated_reason", "1x10", _REFUSED),
        },
        {"10m": []},
    ),
    Case(
        "VolumeGuardGateRefusing", "a Job's gate is told by the alerts of backups",
        {**gate("status_ready", "0x10"), **gate("status_terminated_reason", "1x10", _REFUSED), **owned("Job")},
        {"10m": []},
    ),
    Case("VolumeGuardGateRefusing", "no metrics, no alert", watcher("files", "9x9"), {"5m": []}),
    Case(
        "VolumeGuardHeldTooLong", "a hold fires after two hours",
        {**gate("status_ready", "0x150"), **gate("status_last_terminated_exitcode", "23x150")},
        {"119m": [], "120m": [POD]},
    ),
    Case(
        "VolumeGuardHeldTooLong", "a hold that was released is over",
        {**gate("status_ready", "0x130 1x20"), **gate("status_last_terminated_exitcode", "23x150")},
        {"130m": [POD], "131m": []},
    ),
    Case(
        "VolumeGuardHeldTooLong", "no exit codes, no alert",
        {**gate("status_ready", "0x150"), **gate("status_last_terminated_reason", "1x150", _REFUSED)}, {"150m": []},
    ),
    Case(
        "VolumeGuardWatcherAbsent", "a running pod whose watcher is not scraped fires after ten minutes",
        {
            **gate("info", "1x30", container=WATCH),
            **pods("status_phase", "1x30", ', phase="Running"'),
            **watcher("last_look_timestamp_seconds", "0x5 stale"),
        },
        {"15m": [], "16m": [POD]},
    ),
    Case(
        "VolumeGuardWatcherAbsent", "a watcher that is scraped is there",
        {
            **gate("info", "1x30", container=WATCH),
            **pods("status_phase", "1x30", ', phase="Running"'),
            **watcher("last_look_timestamp_seconds", "0x30"),
        },
        {"30m": []},
    ),
    Case(
        "VolumeGuardWatcherAbsent", "a pod that does not run yet has no watcher to hear",
        {**gate("info", "1x30", container=WATCH), **pods("status_phase", "1x30", ', phase="Pending"')}, {"30m": []},
    ),
    Case(
        "VolumeGuardWatcherAbsent", "another pod's watcher does not stand for this one",
        {
            **gate("info", "1x30", container=WATCH),
            **pods("status_phase", "1x30", ', phase="Running"'),
            **watcher("last_look_timestamp_seconds", "0x30", TARGET.replace("skills-1", "skills-2")),
        },
        {"30m": [POD]},
    ),
    Case("VolumeGuardWatcherAbsent", "no metrics at all fire, even without kube-state-metrics", {}, {"9m": [], "10m": [{}]}),
    Case(
        "VolumeGuardClaimUnmounted", "a bound claim that no pod mounts fires after an hour, guard or not",
        {**bound(), **owned("ReplicaSet")}, {"59m": [], "60m": [CLAIM]},
    ),
    Case(
        "VolumeGuardClaimUnmounted", "the mount lost in a rollout is told",
        {**bound(), **mounted("1x30 stale"), **owned("ReplicaSet")}, {"90m": [], "91m": [CLAIM]},
    ),
    Case(
        "VolumeGuardClaimUnmounted", "a pod that mounts it keeps it quiet, and so does one that is about to",
        {**bound(), **mounted("1x90 stale"), **mounted("_x91 1x80", "skills-2", "Pending"), **owned("ReplicaSet")},
        {"60m": [], "170m": []},
    ),
    Case(
        "VolumeGuardClaimUnmounted", "a backup's pod is not the application",
        {**bound(), **mounted("1x180", "backup-1"), **owned("Job", "backup-1")}, {"60m": [CLAIM]},
    ),
    Case(
        "VolumeGuardClaimUnmounted", "a pod that has ended mounts nothing",
        {**bound(), **mounted("1x180", phase="Succeeded"), **owned("ReplicaSet")}, {"60m": [CLAIM]},
    ),
    Case(
        "VolumeGuardClaimUnmounted", "a claim without a volume is another matter",
        {**bound(values="0x180"), **owned("ReplicaSet")}, {"60m": []},
    ),
    Case("VolumeGuardClaimUnmounted", "nothing is known of pods, so nothing is said of claims", bound(), {"60m": []}),
]  # fmt: skip

BACKUPS: list[Case] = []

CASES = [*WATCHERS, *KUBERNETES, *BACKUPS]
