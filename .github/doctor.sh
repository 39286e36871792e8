#!/bin/sh
# The step of action.yml: installs the doctor of this very commit, and shows what it finds as annotations.
set -euf
action=$(cd "$(dirname "$0")/.." && pwd)
environment=${RUNNER_TEMP:?}/volume-guard
"${PYTHON:-python3}" -m venv "$environment"
pip="$environment/bin/python -m pip install --quiet --disable-pip-version-check"
$pip --require-hashes --requirement "$action/requirements/image.txt" --requirement "$action/requirements/doctor.txt"
$pip --require-hashes --requirement "$action/requirements/build.txt"
$pip --no-deps --no-build-isolation "$action"

if [ -z "${FILES:-}" ]; then
    # A checkout holds one commit only, unless it was asked for more.
    git fetch --quiet --depth=1 origin "${BEFORE:?there is no commit to compare with: name files}"
    FILES=$(git diff --name-only --diff-filter=d "$BEFORE" HEAD -- '*.yaml' '*.yml' '*.json' | while read -r file; do
        # Other YAML is none of the doctor's business.
        if grep -qE '^ *"?kind"?:' "$file" && grep -qE '^ *"?apiVersion"?:' "$file"; then echo "$file"; fi
    done)
fi
if [ -z "$FILES" ]; then
    echo "no manifest has changed"
    exit 0
fi
set -- --output github --fail-on "${FAIL_ON:-error}"
[ -z "${DOCTOR_PATH:-}" ] || set -- "$@" --path "$DOCTOR_PATH"
IFS='
'
# shellcheck disable=SC2086 # one file a line
exec "$environment/bin/guard" doctor "$@" $FILES
