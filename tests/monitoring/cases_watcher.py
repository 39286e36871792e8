"""Cases of the alerts on what a watcher says of its volume."""

from tests.monitoring.series import POD, TARGET, Case, condition, incidents, watcher

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
    Case(
        "VolumeGuardShrunk", "a restart of the watcher is no loss",
        incidents("volume.shrunk", "2x130 0x20"), {"125m": [], "135m": []},
    ),
    Case(
        "VolumeGuardShrunk", "a loss that the watcher found when it started fires for an hour",
        incidents("volume.shrunk", "_x9 1x120"), {"8m": [], "10m": [POD], "67m": [POD], "71m": []},
    ),
    Case(
        "VolumeGuardShrunk", "a gap in the scrapes is no loss",
        incidents("volume.shrunk", "1x130 _x20 1x120"), {"125m": [], "155m": [], "215m": []},
    ),
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
        {**watcher("volume_healthy", "1x4 0x5"), **condition("mounted", "0x4 1x5", "unknown"), **condition("mounted", "0x9")},
        {"5m": [], "6m": [POD]},
    ),
    Case(
        "VolumeGuardUnreachable", "what is wrong for a reason is told by that reason's alert",
        {**watcher("volume_healthy", "0x9"), **condition("content", "1x9")}, {"5m": []},
    ),
    Case(
        "VolumeGuardUnreachable", "a held volume is right, though its content is not judged",
        {**watcher("volume_healthy", "1x9"), **condition("content", "1x9", "unknown")}, {"5m": []},
    ),
    Case("VolumeGuardUnreachable", "no metrics, no alert", watcher("files", "9x9"), {"5m": []}),
    Case(
        "VolumeGuardReadOnly", "a volume that can't be written fires at once",
        condition("writable", "0x4 1x5"), {"4m": [], "5m": [POD]},
    ),
    Case("VolumeGuardReadOnly", "no metrics, no alert", watcher("files", "9x9"), {"5m": []}),
    Case(
        "VolumeGuardBlind", "looks that stop are told after five minutes, and fifteen of patience",
        watcher("last_look_timestamp_seconds", "0+60x5 300x30"), {"25m": [], "26m": [POD]},
    ),
    Case("VolumeGuardBlind", "looks keep it quiet", watcher("last_look_timestamp_seconds", "0+60x30"), {"30m": []}),
    Case(
        "VolumeGuardBlind", "a tripwire that went blind and is not healed is told",
        {**watcher("tripwire_armed", "1x4 0x30"), **incidents("watch.blind", "0x4 1x30")}, {"19m": [], "20m": [POD]},
    ),
    Case(
        "VolumeGuardBlind", "one that was healed is not",
        {**watcher("tripwire_armed", "0x9 1x30"), **incidents("watch.blind", "1x39")}, {"30m": []},
    ),
    Case(
        "VolumeGuardBlind", "a tree too large for a tripwire is no blindness",
        {**watcher("tripwire_armed", "0x40"), **incidents("watch.blind", "0x40")}, {"40m": []},
    ),
    Case("VolumeGuardBlind", "no metrics, no alert: that is another's matter", watcher("files", "9x30"), {"30m": []}),
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
