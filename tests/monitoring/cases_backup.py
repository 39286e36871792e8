"""Cases of the alerts on backups and restore drills."""

from tests.monitoring.series import CRONJOB, DRILL, Case, cronjob, every, job, watcher

BACKUPS = [
    Case(
        "VolumeGuardBackupTooOld", "two missed runs fire, by the CronJob's own schedule",
        {**cronjob("status_last_successful_time", "0x200"), **every("1h")}, {"179m": [], "181m": [CRONJOB]},
    ),
    Case(
        "VolumeGuardBackupTooOld", "one that runs every two hours has four",
        {**cronjob("status_last_successful_time", "0x310"), **every("2h")}, {"299m": [], "301m": [CRONJOB]},
    ),
    Case(
        "VolumeGuardBackupTooOld", "one that succeeds keeps it quiet",
        {**cronjob("status_last_successful_time", "0x99 6000x200"), **every("1h")}, {"219m": [], "250m": []},
    ),
    Case(
        "VolumeGuardBackupTooOld", "one that never succeeded counts from its making",
        {**cronjob("created", "0x200"), **every("1h")}, {"179m": [], "181m": [CRONJOB]},
    ),
    Case(
        "VolumeGuardBackupTooOld", "one that was never even scheduled counts from its making",
        {**cronjob("created", "0x200"), **cronjob("next_schedule_time", "3600x200")}, {"179m": [], "181m": [CRONJOB]},
    ),
    Case(
        "VolumeGuardBackupTooOld", "a suspended one has two days",
        {**cronjob("status_last_successful_time", "0x3000"), **cronjob("spec_suspend", "1x3000")},
        {"2930m": [], "2941m": [CRONJOB]},
    ),
    Case(
        "VolumeGuardBackupTooOld", "another CronJob is no backup",
        {**cronjob("status_last_successful_time", "0x300", "report"), **every("1h", "report")}, {"300m": []},
    ),
    Case("VolumeGuardBackupTooOld", "no CronJobs, no alert", watcher("files", "9x60"), {"60m": []}),
    Case(
        "VolumeGuardBackupRefused", "a run that failed after the last good one fires, until the next good one",
        {
            **cronjob("status_last_successful_time", "100x5 9000x9"),
            **job("skills-backup-2", start="7200", failed="1x14"),
        },
        {"1m": [CRONJOB], "6m": []},
    ),
    Case(
        "VolumeGuardBackupRefused", "an old failure in the history is over",
        {**cronjob("status_last_successful_time", "9000x9"), **job("skills-backup-2", start="7200", failed="1x9")},
        {"5m": []},
    ),
    Case(
        "VolumeGuardBackupRefused", "the very first run that fails fires, too",
        {**cronjob("created", "50x9"), **job("skills-backup-1", start="7200", failed="1x9")}, {"1m": [CRONJOB]},
    ),
    Case(
        "VolumeGuardBackupRefused", "a run that goes on has not failed",
        {**cronjob("created", "50x9"), **job("skills-backup-1", start="7200", failed="0x9")}, {"5m": []},
    ),
    Case(
        "VolumeGuardBackupRefused", "a drill is not a backup",
        {**cronjob("created", "50x9", DRILL), **job("skills-restore-drill-1", start="7200", failed="1x9", owner=DRILL)},
        {"5m": []},
    ),
    Case("VolumeGuardBackupRefused", "no CronJobs, no alert", watcher("files", "9x60"), {"60m": []}),
    Case(
        "VolumeGuardDrillFailed", "a drill that failed fires",
        {
            **cronjob("status_last_successful_time", "100x9", DRILL),
            **job("skills-restore-drill-2", start="7200", failed="0x2 1x9", owner=DRILL),
        },
        {"2m": [], "4m": [{**CRONJOB, "cronjob": DRILL}]},
    ),
    Case(
        "VolumeGuardDrillFailed", "a drill that does not run any more fires",
        {**cronjob("status_last_successful_time", "0x200", DRILL), **every("1h", DRILL)},
        {"119m": [], "122m": [{**CRONJOB, "cronjob": DRILL}]},
    ),
    Case(
        "VolumeGuardDrillFailed", "a drill that succeeded keeps it quiet",
        {**cronjob("status_last_successful_time", "9000x9", DRILL), **job("skills-restore-drill-2", "7200", "0x9", DRILL)},
        {"5m": []},
    ),
    Case("VolumeGuardDrillFailed", "no CronJobs, no alert", watcher("files", "9x60"), {"60m": []}),
]  # fmt: skip
