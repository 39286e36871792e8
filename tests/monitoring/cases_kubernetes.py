"""Cases of the alerts on what kube-state-metrics says of gates, watchers and claims."""

from tests.monitoring.series import (
    CLAIM,
    GATE,
    POD,
    REFUSED,
    TARGET,
    WATCH,
    Case,
    bound,
    gate,
    mounted,
    owned,
    pods,
    watcher,
)

KUBERNETES = [
    Case(
        "VolumeGuardGateRefusing", "an exit status that refuses fires after two minutes",
        {
            **gate("status_ready", "0x10"),
            **gate("status_last_terminated_exitcode", "_x4 30x6"),
            **gate("status_last_terminated_reason", "_x4 1x6", REFUSED),
        },
        {"5m": [], "6m": [POD]},
    ),
    Case(
        "VolumeGuardGateRefusing", "the reason is enough where there are no exit codes",
        {**gate("status_ready", "0x10"), **gate("status_last_terminated_reason", "1x10", REFUSED)}, {"5m": [POD]},
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
            **gate("status_last_terminated_reason", "1x10", REFUSED),
        },
        {"10m": []},
    ),
    Case(
        "VolumeGuardGateRefusing", "a Job's gate is told by the alerts of backups",
        {**gate("status_ready", "0x10"), **gate("status_terminated_reason", "1x10", REFUSED), **owned("Job")},
        {"10m": []},
    ),
    Case(
        "VolumeGuardGateRefusing", "a pod that was evicted at its gate starts nowhere any more",
        {
            **gate("status_ready", "0x20"),
            **gate("status_last_terminated_exitcode", "15x20"),
            **gate("status_terminated_reason", "_x6 1x14", REFUSED),
            **pods("status_phase", "1x5 0x14", ', phase="Pending"'),
            **pods("status_phase", "0x5 1x14", ', phase="Failed"'),
        },
        {"5m": [POD], "6m": [], "20m": []},
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
        "VolumeGuardHeldTooLong", "a pod that ended while it was held waits no more",
        {
            **gate("status_ready", "0x150"),
            **gate("status_last_terminated_exitcode", "23x150"),
            **pods("status_phase", "0x130 1x20", ', phase="Failed"'),
        },
        {"130m": [POD], "131m": []},
    ),
    Case(
        "VolumeGuardHeldTooLong", "a hold beside a running application fires after two hours",
        watcher("held", "0x4 1x150"), {"124m": [], "125m": [POD]},
    ),
    Case(
        "VolumeGuardHeldTooLong", "no exit codes, no alert",
        {**gate("status_ready", "0x150"), **gate("status_last_terminated_reason", "1x150", REFUSED)}, {"150m": []},
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
    Case(
        "VolumeGuardClaimUnmounted", "a backup's repository is its Jobs' alone",
        {**bound("skills-backup"), **owned("ReplicaSet")}, {"60m": []},
    ),
    Case(
        "VolumeGuardClaimUnmounted", "an ephemeral volume's claim is its pod's, which does not name it",
        {**bound("skills-1-scratch"), **owned("ReplicaSet")}, {"60m": []},
    ),
    Case("VolumeGuardClaimUnmounted", "nothing is known of pods, so nothing is said of claims", bound(), {"60m": []}),
]  # fmt: skip
