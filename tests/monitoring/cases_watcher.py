"""Cases of the alerts on what a watcher reports of its volume."""

from tests.monitoring.series import POD, TARGET, Case, condition, incidents, watcher

#: The volume of the pod, and the pod that comes after it.
VOLUME = {"namespace": "dev", "volume": "skills"}
INFO = watcher("volume_info", "1x300", f'{TARGET}, volume="skills"')
NEXT = TARGET.replace("skills-1", "skills-2")

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
        "VolumeGuardFilesFalling", "files that go a few at a time, to less than half within a week, are told",
        {**watcher("files", "100x60 100-1x60 40x120"), **INFO}, {"200m": [VOLUME]},
    ),
    Case(
        "VolumeGuardFilesFalling", "half of them left is no alert",
        {**watcher("files", "100x60 50x180"), **INFO}, {"200m": []},
    ),
    Case(
        "VolumeGuardFilesFalling", "what was there before the pod was replaced counts",
        {
            **watcher("files", "100x60 stale"), **watcher("volume_info", "1x60 stale", f'{TARGET}, volume="skills"'),
            **watcher("files", "_x61 40x180", NEXT), **watcher("volume_info", "_x61 1x180", f'{NEXT}, volume="skills"'),
        },
        {"100m": [], "200m": [VOLUME]},
    ),
    Case(
        "VolumeGuardFilesFalling", "a loss that was reported has its own alert",
        {**watcher("files", "100x60 40x180"), **INFO, **incidents("volume.shrunk", "0x60 1x180")}, {"200m": []},
    ),
    Case(
        "VolumeGuardFilesFalling", "a wipe that is still open has its own alert",
        {**watcher("files", "100x60 0x180"), **INFO, **condition("content", "0x60 1x180")}, {"200m": []},
    ),
    Case("VolumeGuardFilesFalling", "no metrics, no alert", watcher("volume_healthy", "1x200"), {"200m": []}),
    Case(
        "VolumeGuardFull", "a volume without free bytes is told after five minutes",
        {**watcher("avail_bytes", "500x4 0x20"), **watcher("size_bytes", "1000x24")}, {"9m": [], "10m": [POD]},
    ),
    Case(
        "VolumeGuardFull", "free bytes do not help where inodes are used up",
        {**watcher("avail_bytes", "900x20"), **watcher("size_bytes", "1000x20"),
         **watcher("inodes_free", "1x20"), **watcher("inodes", "512x20")},
        {"10m": [POD]},
    ),
    Case(
        "VolumeGuardFull", "a file system that does not count its inodes has not used them up",
        {**watcher("avail_bytes", "900x20"), **watcher("size_bytes", "1000x20"),
         **watcher("inodes_free", "0x20"), **watcher("inodes", "0x20")},
        {"10m": []},
    ),
    Case("VolumeGuardFull", "no metrics, no alert", watcher("files", "9x20"), {"10m": []}),
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
        {**condition("reachable", "0x4 1x5"), **condition("mounted", "0x4 1x5", "unknown")}, {"5m": [], "6m": [POD]},
    ),
    Case(
        "VolumeGuardUnreachable", "a volume that answers and is wiped has another alert",
        {**condition("reachable", "0x9"), **condition("content", "1x9")}, {"5m": []},
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
        "VolumeGuardBlind", "a tripwire that is not armed is no blindness, as long as checks are completed",
        {**watcher("tripwire_armed", "0x40"), **incidents("watch.blind", "1x40"),
         **watcher("last_look_timestamp_seconds", "0+60x40")},
        {"40m": []},
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
