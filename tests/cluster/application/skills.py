"""A stand-in for the incident's skill server: GET /health, and the way it writes. Nothing of the guard is known here.

serve                        make /app/skills if it is not there, then answer on port 8765
upload TENANT SKILL FILES    replace a skill by one with so many files: remove the tree, then copy the new one
churn SECONDS                upload the same skills again and again; prints how often
"""

import http.server
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path("/app/skills")
PORT = 8765


class Health(http.server.BaseHTTPRequestHandler):
    """Answers /health, and nothing else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_: object) -> None:
        """Says nothing: probes call every few seconds."""


def serve() -> None:
    """Starts as the incident's application did: on a missing volume it silently makes an empty directory."""
    ROOT.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.stderr.write("serving\n")
    http.server.ThreadingHTTPServer(("", PORT), Health).serve_forever()


def upload(tenant: str, skill: str, files: int) -> None:
    """Replaces a skill: for a moment it is gone."""
    with tempfile.TemporaryDirectory() as unpacked:
        for number in range(files - 1):
            (Path(unpacked) / f"file-{number}.md").write_text("content\n" * 20)
        (Path(unpacked) / "SKILL.md").write_text("---\nname: example\n---\n")
        target = ROOT / tenant / skill
        if target.exists():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(unpacked, target)


def churn(seconds: float) -> None:
    """Updates all of two tenants' skills as fast as it can."""
    end, uploads = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        upload(f"tenant-{uploads % 2}", f"skill-{uploads // 2 % 3}", files=40)
        uploads += 1
    sys.stdout.write(f"{uploads}\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            serve()
        case ["upload", tenant, skill, files]:
            upload(tenant, skill, int(files))
        case ["churn", seconds]:
            churn(float(seconds))
        case _:
            sys.exit(__doc__)
