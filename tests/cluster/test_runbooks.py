"""The kubectl commands that runbooks and other pages print, run as printed against a guarded application on the cluster.

What a page's reader fills in is filled in. What would take something away from others (nodes) or from the rest of this
test (its pod) is sent to the API server as a dry run: accepted or not is what is asked here.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import images, objects, observing
from tests.cluster.conftest import REPOSITORY
from tests.cluster.kubectl import Kubectl, Object
from tests.unit import markdown

FOLDER = REPOSITORY / "docs" / "runbooks"
#: Steps that belong together and have tests of their own.
PROCEDURES = frozenset({"restore", "migrate", "recreate-claim"})
OTHERS = ("README.md", "docs/doctor.md", "docs/install.md", "k8s/README.md", "k8s/policy/README.md")
PAGES = [
    *sorted(page for page in FOLDER.glob("*.md") if page.stem not in PROCEDURES),
    *(REPOSITORY / page for page in OTHERS),
]
#: A container that was never restarted has no earlier log; namespace dev and its Jobs are `test_as_applied.py`'s.
HARMLESS = (
    "previous terminated container",
    'namespaces "dev" not found',
    'jobs.batch "volume-guard-adopt" not found',
)


@pytest.fixture
def names(kubectl: Kubectl, adopted_claim: Object, tmp_path: Path) -> dict[str, str]:
    """What stands for the words in capitals: an application with its guard, one at rest, and a CronJob."""
    kubectl.apply(objects.deployment(adopted_claim, wait="0s"), _at_rest(adopted_claim), _cron_job())
    pod = observing.wait_application(kubectl)
    name = pod["metadata"]["name"]
    observing.wait_event(kubectl, name, objects.WATCHER, "watch.started")
    passed = observing.wait_event(kubectl, name, objects.GATE, "volume.ok")
    return {
        **dict.fromkeys(("POD", "PREVIOUS_POD", "OLD_POD", "BACKUP_POD", "DRILL_POD"), name),
        **dict.fromkeys(("NAMESPACE", "dev", "tools"), kubectl.namespace),
        "CLAIM": "adopted",
        "VOLUME": kubectl.get("pvc", "adopted")["spec"]["volumeName"],
        "NODE": pod["spec"]["nodeName"],
        **dict.fromkeys(("DEPLOYMENT", "orders"), "at-rest"),
        "CONTAINER": objects.APPLICATION,
        "CRONJOB": "nightly",
        "MARKER_ID": passed["marker_id"],
        "SHA256_PREFIX": "0123456789ab",
        "/PATH/OF/THE/DATA": objects.PATH,
        "./rescued": str(tmp_path / "rescued"),
        "busybox": images.APPLICATION,
        objects.GATE: objects.WATCHER,  # the gate of a running pod has ended; the watcher is where it would be
    }


def _at_rest(volume: Object) -> Object:
    """The same Deployment without a pod: to be scaled and set as the pages say."""
    deployment = objects.deployment(volume)
    deployment["metadata"]["name"] = "at-rest"
    deployment["spec"] |= {"replicas": 0, "selector": {"matchLabels": {"app": "at-rest"}}}
    deployment["spec"]["template"]["metadata"]["labels"] = {"app": "at-rest"}
    return deployment


def _cron_job() -> Object:
    container = {"name": "backup", "image": images.APPLICATION, "command": ["true"]}
    pod = {"restartPolicy": "Never", "containers": [container]}
    spec = {"schedule": "0 2 * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}, "spec": spec}


def test_every_kubectl_command_of_the_pages_is_accepted(kubectl: Kubectl, names: dict[str, str]) -> None:
    refused = []
    seen = set()
    for page in PAGES:
        for line in _commands(page):
            if line in seen:
                continue
            seen.add(line)
            problem = _run(kubectl, line, names)
            if problem:
                refused.append(f"{page.relative_to(REPOSITORY)}: {line}\n{problem}")
    assert len(seen) > 60, "the pages have more commands than were found"
    assert not refused, "\n\n".join(refused)


def _commands(page: Path) -> Iterator[str]:
    blocks = markdown.read(page).blocks
    text = "\n".join(block.text for block in blocks if block.language in {"sh", ""})
    yield from (line for line in text.replace("\\\n", "").splitlines() if line.startswith("kubectl "))


def _run(kubectl: Kubectl, line: str, names: dict[str, str]) -> str:
    """Runs one line, a pipe into the doctor too; what went wrong, empty where nothing did."""
    longest_first = sorted(names, key=len, reverse=True)
    words = re.compile("|".join(rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in longest_first))
    filled = words.sub(lambda found: names[found[0]], line)
    asked, *rest = re.split(r" [|>] ", filled)
    piped = rest[0].removeprefix("guard ") if rest and rest[0].startswith("guard ") else ""
    done = kubectl.attempt(*_mild(shlex.split(asked, comments=True)[1:]))
    problem = "" if done.returncode == 0 or any(text in done.stderr for text in HARMLESS) else done.stderr
    if piped and not problem:
        doctor = subprocess.run(
            [sys.executable, "-m", "guard", *shlex.split(piped)],
            cwd=REPOSITORY, input=done.stdout, check=False, capture_output=True, text=True, timeout=180,
        )  # fmt: skip
        problem = "" if doctor.returncode in {0, 40} else doctor.stderr
    return problem


def _mild(words: list[str]) -> list[str]:
    """The command so that it takes nothing away: a dry run on the API server where it would."""
    match words:
        case ["delete", *_]:  # policies are in the cluster where their tests put them
            return [*words, "--ignore-not-found", "--dry-run=server"]
        case ["cordon" | "uncordon" | "scale", *_]:
            return [*words, "--dry-run=server"]
        case ["label", "namespace", _, *rest]:  # this would switch policies on for other tests
            return ["label", "namespace", "default", *rest, "--dry-run=server"]
        case ["create", "job", *_]:  # several pages make one of the same name
            return [*words, "--dry-run=server"]
        case ["wait", *_]:
            return ["wait", "--help"]
        case ["apply", *_] if "--dry-run=server" in words:
            return [*words, "--namespace=dev"]
        case ["replace", "--force", *rest] | ["apply" | "create", *rest]:  # in namespace dev, which another test makes
            return ["apply" if words[0] == "apply" else "create", *rest, "--namespace=dev", "--dry-run=client"]
        case ["run" | "debug", *rest]:  # nobody types here
            return [words[0], *(word for word in rest if word not in {"-it", "--rm"})]
    return words
