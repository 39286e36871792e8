#!/bin/sh
# The incident and its end, on a real mount in a mount namespace of its own: nothing stays behind.
# As root on a loop-mounted ext4; otherwise on tmpfs in a user namespace, where memory has to be allowed.
set -eu
PYTHON=$(cd "$(dirname "$PYTHON")" && pwd)/$(basename "$PYTHON")
export PYTHON

if [ "${1:-}" != inside ]; then
    if [ "$(id -u)" = 0 ]; then
        exec unshare --mount --propagation private sh "$0" inside
    elif unshare --user --map-root-user --mount true 2>/dev/null; then
        GUARD_KINDS=memory exec unshare --user --map-root-user --mount sh "$0" inside
    fi
    echo "demo: needs root, or unprivileged user namespaces, to mount a volume; neither is to be had here" >&2
    exit 1
fi

work=$(mktemp -d)
watcher=
trap '[ -z "$watcher" ] || kill "$watcher" 2>/dev/null || true; umount "$work/app/skills" 2>/dev/null; rm -rf "$work"' EXIT
skills=$work/app/skills
mkdir -p "$skills"
export GUARD_PATH="$skills" GUARD_WAIT=0 GUARD_LOG_FORMAT=console GUARD_POD=demo-pod GUARD_NODE=demo-node
unset GUARD_VOLUME

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
guard() {
    printf '$ guard %s\n' "$*"
    status=0
    "$PYTHON" -m guard "$@" || status=$?
    printf 'exit status %s\n' "$status"
}
expect() {
    [ "$status" = "$1" ] || { echo "demo: expected exit status $1, got $status" >&2; exit 1; }
}

say "1. The incident: no volume. The team's own check passes on the empty directory, the gate does not."
[ -d "$skills" ] && echo "[ -d /app/skills ] passes"
GUARD_KINDS='' guard check --volume claude-skills-dev
expect 10

say "2. A real volume, never used before: it has to be adopted once."
if [ -n "${GUARD_KINDS:-}" ]; then
    echo "(no root: tmpfs stands in for the disk, so GUARD_KINDS=$GUARD_KINDS)"
    mount -t tmpfs demo "$skills"
else
    truncate -s 32M "$work/disk" && mkfs.ext4 -q "$work/disk" && mount -o loop "$work/disk" "$skills"
fi
guard check --volume claude-skills-dev
expect 20
guard adopt --volume claude-skills-dev
expect 0

upload() { # FOLDER NAME...: four files in each skill
    folder=$1; shift
    for skill in "$@"; do
        mkdir -p "$folder/$skill"
        for file in SKILL.md run.py notes.md icon.svg; do echo "$skill $file" >"$folder/$skill/$file"; done
    done
}

say "3. Users upload skills; the volume is the right one and the gate passes."
upload "$skills/tenant-a" pdf docx xlsx
guard accept --volume claude-skills-dev
expect 0
guard check --volume claude-skills-dev
expect 0

say "4. Another team's gate on this volume is refused."
guard check --volume claude-skills-prod
expect 21

say "5. The volume is reset: the users' files are gone, and the application filled it with its defaults. The gate knows which files there were."
cp -a "$skills/tenant-a" "$work/backup"
rm -rf "$skills/tenant-a"
upload "$skills/defaults" hello example template
guard check --volume claude-skills-dev
expect 30

say "6. As many other files do not end it. The data does."
rm -rf "$skills/defaults"
cp -a "$work/backup" "$skills/tenant-a"
guard check --volume claude-skills-dev
expect 0

say "7. The watcher at work: the same reset while the application runs, and the restore."
lines=$work/watch.log
printf '$ guard watch &\n'
GUARD_INTERVAL=1s GUARD_SETTLE=1s GUARD_LISTEN=off "$PYTHON" -m guard watch --volume claude-skills-dev 2>"$lines" &
watcher=$!
await() {
    tries=0
    until grep -q "$1" "$lines"; do
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || { cat "$lines"; echo "demo: no $1 within 30 s" >&2; exit 1; }
        sleep 0.1
    done
    grep "$1" "$lines"
}
await watch.started
printf '$ rm -rf .../skills/*   # and the application writes its defaults again\n'
rm -rf "$skills"/*
upload "$skills/defaults" hello example template
await volume.wiped
printf '$ rm -rf .../skills/defaults; cp -a backup .../skills/tenant-a\n'
rm -rf "$skills/defaults"
cp -a "$work/backup" "$skills/tenant-a"
await volume.recovered
kill "$watcher"
status=0
wait "$watcher" || status=$?
await watch.stopped
expect 0
say "That is all: seven answers, each with an exit status of its own, and a wipe that was known within seconds."
cat <<'NEXT'
What to do next:
  1. Ask why your own volume could be lost, from files alone: guard doctor YOUR-MANIFESTS/
  2. Add gate and watcher to your Deployment, observing at first: "Add it" in README.md
  3. Read what a message means, offline: guard explain data-lost
(guard is .venv/bin/guard here.)
NEXT
