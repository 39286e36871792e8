"""What a script empties, as VG114 reads it: a clean-up of old or temporary files is not a wipe."""

import pytest

from guard.doctor.rules.shell import emptied

P = "/app/skills"


@pytest.mark.parametrize(
    "script",
    [
        "rm -rf /app/skills",
        "rm -rf /app/skills/* && cp -r /seed/. /app/skills",
        "rm -r -f /app/skills/",
        "rm /app/skills/* -rf",
        "rm --recursive --force -- /app/skills/*",
        "rm -rf /app/skills/{*,.[!.]*}",
        "rm -rf /app/skills/**",
        "rm -rf /app/skills/*/",
        "rm -rf '/app/skills'/* 2>/dev/null",
        "sh -c rm -rf /app/skills/* /app/skills/.[!.]* || true",
        "set -eu; mkdir -p /app && chmod 700 /app && rm -rf /app/skills/*",
        "/bin/bash -euo pipefail -c rm -rf /app/skills/*",
        "cd /app/skills && rm -rf *",
        "cd /app && cd skills && rm -rf ./*",
        "cd -- '/app/skills' || exit 1\nrm -rf * .[!.]*",
        "(cd /app/skills && rm -rf *); cd /srv",
        "rm -rf ${SKILLS:-/app/skills}/*",
        "rm -rf ${SKILLS-/app/skills}/*",
        'rm -rf "${HERE:?}"/*',
        "rm -rf $HERE/*",
        "rm -rf $(HERE)/*",
        "export TARGET=/app/skills; rm -rf $TARGET/*",
        "sh -c TARGET=/app/skills; rm -rf ${TARGET}",
        "find /app/skills -delete",
        "find /app/skills -mindepth 1 -delete",
        "find /app/skills/ -xdev -depth -mindepth 1 -type f -delete",
        "find /srv /app/skills -type f,l -delete",
        "find /app/skills -mindepth 1 ! -name lost+found -delete",
        "find /app/skills -mindepth 1 -maxdepth 1 -exec rm -rf {} +",
        "find /app/skills -mindepth 1 -type d -exec rm -rf {} \\; -print",
        "find /app/skills -type f -exec rm {} \\;",
        "cd /app/skills; find . -mindepth 1 -delete",
        "cd /app/skills; find -mindepth 1 -delete",
    ],
)
def test_a_script_that_deletes_everything_before_it_decides_anything_is_known(script: str) -> None:
    assert P in emptied(script, "", {"HERE": P})


@pytest.mark.parametrize(
    "script",
    [
        "find /app/skills -name '*.tmp' -delete",
        "find /app/skills -mtime +30 -delete; exec app",
        "find /app/skills -type d -empty -delete",
        "find /app/skills -type d -delete",
        "find /app/skills -type l -delete",
        "find /app/skills -maxdepth 1 -type f -delete",
        "find /app/skills -mindepth 2 -name cache -exec rm -rf {} +",
        "find /app/skills \\( -name '*.tmp' -o -name '*.part' \\) -delete",
        "find /app/skills -type f ! -name '*.md' -delete",
        "find /app/skills -mindepth 1 -exec chown app {} +",
        "find /app/skills -type f -print",
        "find /app/skills -exec",
        "rm -rf /app/skills/*.tmp",
        "rm -rf /app/skills/lost+found",
        "rm -rf /app/skills/{cache,tmp}",
        "rm -rf /app/skills/.[!.]*",
        "rm -rf /app/skills/*/cache",
        "rm -rf /app/skills/.",
        "rm -f /app/skills/*",
        "rm -rf *",
        "cd /tmp && rm -rf *",
        "cd && rm -rf *",
        "(cd /app/skills && ls); rm -rf *",
        "cd /app/skills; cd $ELSEWHERE; rm -rf *",
        "cd /app/skills) ; rm -rf *",
        "# rm -rf /app/skills/*",
        "app\n  # once: rm -rf /app/skills/*\n",
        "echo 'to reset it: rm -rf /app/skills/*'",
        "printf 'cd /app/skills'; rm -rf *",
        "rm -rf ${HERE:-/app/skills}/*",
        "rm -rf ${UNKNOWN:-/app/skills}/*",
        "rm -rf ${NOWHERE:?where to /app/skills}/*",
        "rm -rf $NOWHERE/*",
        "TARGET=/srv; rm -rf ${TARGET:-/app/skills}/*",
        "[ -f /app/skills/.seeded ] || rm -rf /app/skills/*",
        '[ "$RESET" = true ] && rm -rf /app/skills/*; true',
        "test -f /reset && cd /app/skills && rm -rf *",
        "[ -f /reset ] && (cd /app/skills; rm -rf *)",
        "grep -q reset /etc/mode && rm -rf /app/skills/*",
        "ls /app | grep -q reset && rm -rf /app/skills/*",
        "sh -c if [ ! -f /app/skills/.seeded ]; then rm -rf /app/skills/*; fi",
        "if [ -f x ]; then echo; else rm -rf /app/skills/*; fi",
        "if [ -f x ]\nthen\n  if true; then echo; fi\n  rm -rf /app/skills/*\nfi",
        "if [ -f x ]; then cd /app/skills; fi; rm -rf *",
        "if [ -f x ]; then TARGET=/app/skills; fi; rm -rf $TARGET",
        "reset() { rm -rf /app/skills/*; }; app",
        "function reset {\n rm -rf /app/skills/*\n}\napp",
        "case $1 in reset) rm -rf /app/skills/*;; esac",
        "while wait_for_reset; do rm -rf /app/skills/*; done",
        "cat <<'E' > /tmp/reset.sh\nrm -rf /app/skills/*\nE\n",
        "cat > /tmp/reset.sh <<-E && chmod 700 /tmp/reset.sh\n\trm -rf /app/skills/*\n\tE\napp",
        "[ -f /app/skills/.seeded ] && exit 0; rm -rf /app/skills/*",
        "if [ -f /app/skills/.seeded ]; then exec app; fi\nrm -rf /app/skills/*",
        "exec app; rm -rf /app/skills/*",
    ],
)
def test_a_script_that_deletes_a_part_or_elsewhere_is_not(script: str) -> None:
    assert P not in emptied(script, "", {"HERE": "/srv", "UNKNOWN": ""})


def test_a_relative_path_starts_at_the_working_directory() -> None:
    assert emptied("rm -rf *", P, {}) == {P}
    assert emptied("rm -rf skills", "/app", {}) == {P}


def test_a_script_that_grows_without_end_is_cut_short() -> None:
    doubling = "A=/app; " + "A=$A$A; " * 64 + "rm -rf $A/*; cd " + "a/" * 5000 + "; rm -rf *"
    assert emptied(doubling, "/", {}) == set()
