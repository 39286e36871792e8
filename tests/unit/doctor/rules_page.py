"""The page docs/rules.md, made from the rule table: `python tests/unit/doctor/rules_page.py` writes it, a test compares."""

from collections.abc import Mapping
from pathlib import Path

from guard.doctor.catalogue import RULES
from guard.doctor.finding import Rule

PAGE = Path(__file__).parents[3] / "docs" / "rules.md"
#: What the first digit of an id means.
THEMES: Mapping[str, str] = {
    "VG1": "What stands at the path",
    "VG2": "Claims, volumes and classes",
    "VG3": "File and cluster",
    "VG4": "The text itself",
    "VG5": "The guard",
    "VG6": "Backups",
}

_REVIEW = """\

## In code review

`--output sarif` prints SARIF 2.1.0. Each finding is a result of its rule at file and line; what an annotation ignores is
a suppressed result with its reason; the object is the logical location. A place on standard input is named `stdin`.
What is unknown is in the table and in JSON only. Paths are written as they were given: run the doctor from the
repository's root.

    - run: guard doctor k8s/ --output sarif --fail-on never > doctor.sarif
    - uses: github/codeql-action/upload-sarif@v4
      with: {sarif_file: doctor.sarif}

`--output github` prints one workflow command for each finding, worst first, which GitHub shows at its line of the pull
request, and a last line with the sum. It needs no permission; GitHub shows the first ten of each kind.

    - run: guard doctor k8s/ --output github
"""


_HEAD = """\
<!-- Generated from the rule table (tests/unit/doctor/rules_page.py); a test holds the two equal. -->
# The doctor's rules

`guard doctor` reads Kubernetes objects and says why a volume would be lost or reset. An *error* would lose or reset the
volume or never mount it, a *warning* will bite, an *info* is advice. What the input does not show is *unknown*, never a
finding. `guard explain VG101` (or `guard explain volume-not-mounted`) prints one rule. Three worked cases, with files and
output: [doctor.md](doctor.md).

To ignore a rule for one object, annotate it (or its pod template); the reason is printed:
`volume-guard/ignore-VG223: "scratch data, rebuilt in a minute"`. A claim's counts for its volume too, that of a
volumeClaimTemplate for this template.

| id | name | severity | what is wrong |
| --- | --- | --- | --- |
"""

_JSON = """\
## JSON output

`--output json` prints one object. Fields are only ever added; `schema` grows when an old reader would be wrong.

| field | type | |
| --- | --- | --- |
| `schema` | number | 1 |
| `path` | string | the path that was given with `--path`; empty if none was |
| `outcome` | string | `ok`, `findings`, or `usage` when nothing could be read |
| `read` | object | how much was read: `documents`, `objects`, `live` (of these, the cluster's), `workloads` (of these, those whose data path is known) |
| `advice` | string | what to give or run if no volume was judged; empty otherwise |
| `checklist` | list | one entry for each workload whose path is known: `subject`, `path`, `path_from` (what says so), `items` |
| `checklist[].items[]` | object | `id` (`class`, `bound`, `mounted`, `survives`, `off-spot`), `question`, `answer` (`yes`, `no`, `unknown`), `why`, `command` (what to run to know; empty when known) |
| `findings` | list | worst and most causal first |
| `findings[]` | object | `rule`, `slug`, `severity`, `title`, `message`, `why`, `fix`, `reference`, `other_advice` (empty: none), `owner` (the tool that would undo a fix; empty: none), `object`, `alike` (the first 20 other objects of which the same holds), `count` (of all objects), `place`, `also` |
| `object`, `alike[]` | object or null | `kind`, `namespace`, `name`, `side` (`file`, `live`), `made_by` (kind and name of what made it; empty: nothing) |
| `place`, `also[]` | object | `source` (file, `-` for standard input), `line` (from 1, or null) |
| `ignored` | list | as `findings`, each with `reason` from the annotation |
| `unknown` | list | `rule`, `slug`, `reason`, `command` |
| `errors` | list | what was asked for and could not be read: `place`, `reason` |
| `skipped` | list of strings | what was left out on purpose |
"""


def reference_page() -> str:
    """Returns the page."""
    rows = "".join(
        f"| [{rule.id}](#{rule.id.lower()}-{rule.slug}) | {rule.slug} | {rule.severity.value} | {rule.title} |\n"
        for rule in RULES.values()
    )
    sections = "".join(_theme(prefix, title) for prefix, title in THEMES.items())
    return f"{_HEAD}{rows}\n{sections}{_JSON}{_REVIEW}"


def _theme(prefix: str, title: str) -> str:
    rules = (rule for rule in RULES.values() if rule.id.startswith(prefix))
    return f"## {title}\n\n" + "".join(map(_section, rules))


def _section(rule: Rule) -> str:
    other = f"\n**Other advice.** {rule.contradicts}\n" if rule.contradicts else ""
    return (
        f"### {rule.id} {rule.slug}\n\n*{rule.severity.value}.* {rule.title}\n\n**Why.** {rule.why}\n\n**Fix.** {rule.fix}\n{other}\n"
        f"[Reference]({rule.reference})\n\n"
    )


if __name__ == "__main__":
    PAGE.write_text(reference_page())
