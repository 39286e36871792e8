"""A real Prometheus on this machine for one test: what it scrapes, and what it answers. It judges nothing."""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.linux.sandbox import until
from tests.monitoring.programs import program

#: Seconds after which Prometheus has not started.
DEADLINE = 60.0


@dataclass(frozen=True)
class Sample:
    """One element of an answer."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Target:
    """Something to be scraped.

    Attributes:
        job: Its name.
        address: Host and port.
        labels: What a PodMonitor, or a PodMonitoring, would add.
    """

    job: str
    address: str
    labels: Mapping[str, str]


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Prometheus:
    """Scrapes and evaluates once a second; honours the labels of what it scrapes, as it must for kube-state-metrics."""

    def __init__(self, folder: Path, targets: list[Target], rules: Path) -> None:
        self._address = f"127.0.0.1:{free_port()}"
        jobs = [
            {
                "job_name": target.address,
                "honor_labels": True,
                "static_configs": [{"targets": [target.address], "labels": {"job": target.job, **target.labels}}],
            }
            for target in targets
        ]
        often = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        configuration = {"global": often, "rule_files": [str(rules)], "scrape_configs": jobs}
        (folder / "prometheus.yaml").write_text(json.dumps(configuration))
        words = [
            f"--config.file={folder}/prometheus.yaml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={self._address}",
            "--log.level=warn",
        ]
        self._folder = folder
        self._log = (folder / "prometheus.log").open("w")
        self._process = subprocess.Popen([program("prometheus"), *words], stdout=self._log, stderr=subprocess.STDOUT)

    def __enter__(self) -> Self:
        try:
            until(self._ready, DEADLINE)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(DEADLINE)
        self._log.close()

    def _ready(self) -> bool:
        assert self._process.poll() is None, (self._folder / "prometheus.log").read_text()
        try:
            return bool(self._get("/-/ready"))
        except OSError:
            return False

    def query(self, expression: str) -> list[Sample]:
        """An instant vector as of now."""
        answer = self._api("query", query=expression)
        assert answer["resultType"] == "vector", expression
        return [Sample(one["metric"], float(one["value"][1])) for one in answer["result"]]

    def series(self, expression: str, since: float) -> list[list[float]]:
        """Every series of a range query from `since` (seconds since 1970) until now, by the second: its values."""
        answer = self._api("query_range", query=expression, start=f"{since}", end=f"{time.time()}", step="1")
        return [[float(value) for _, value in one["values"]] for one in answer["result"]]

    def label_values(self, label: str, selector: str) -> list[str]:
        """What a variable of a dashboard offers."""
        values: list[str] = json.loads(self._get(f"/api/v1/label/{label}/values", **{"match[]": selector}))["data"]
        return values

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        alerts = json.loads(self._get("/api/v1/alerts"))["data"]["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    def _api(self, path: str, **parameters: str) -> Any:
        try:
            return json.loads(self._get(f"/api/v1/{path}", **parameters))["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters.get('query')}: {error.read().decode()}") from error

    def _get(self, path: str, **parameters: str) -> bytes:
        url = f"http://{self._address}{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
            content: bytes = answer.read()
            return content
