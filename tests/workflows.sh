#!/usr/bin/env bash
# The linters of workflows: actionlint (with shellcheck, for the scripts) and zizmor, on the workflows of this repository,
# those of examples/github, and the action. Installs them, by hash, with Python 3.10 or newer ($PYTHON, else python3).
#
# usage: tests/workflows.sh [DIRECTORY]
#
# They are kept in DIRECTORY, else in linters/ of the cache directory. Exit code 77: they cannot be had here, and the last
# line says why. actionlint's own package fetches its program from elsewhere when it is installed; that of the fork in
# tests/action/linters.lock has it inside. ACTIONLINT=/path/to/actionlint runs another one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${RECONCILE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/reconcile}
lock=tests/action/linters.lock
home=${1:-$cache/linters}/$(sha256sum "$lock" | cut -c 1-8)

if [ ! -e "$home/.complete" ]; then
  rm -rf "$home"
  why=$("${PYTHON:-python3}" -I -m venv "$home" 2>&1 && "$home/bin/python" -I -m pip --disable-pip-version-check --no-input \
    install --quiet --no-deps --require-hashes --only-binary :all: -r "$lock" 2>&1) || {
    echo "the linters cannot be installed: $(tail -n 1 <<<"$why")" >&2
    exit 77
  }
  touch "$home/.complete"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The examples name this repository as OWNER/reconcile@REF. As `./` its action.yml is found, and what they pass is
# compared with its inputs.
mkdir -p "$work/.git" "$work/.github/workflows"
cp action.yml "$work"
for file in examples/github/*.yml; do
  sed 's|uses: OWNER/reconcile@REF.*|uses: ./|' "$file" >"$work/.github/workflows/${file##*/}"
done
# actionlint reads workflows only: the steps of the action as a job, with its inputs as those of a workflow.
{
  printf 'on:\n  workflow_call:\n    inputs:\n'
  sed -n '/^inputs:/,/^outputs:/{/^[a-z]/d;s/^/    /;p;/^      [a-z0-9-]*:$/s/.*/        type: string/p}' action.yml
  printf 'permissions: {}\njobs:\n  action:\n    runs-on: ubuntu-24.04\n    steps:\n'
  sed -n '/^  steps:/,$p' action.yml | sed 1d
} >"$work/.github/workflows/action-as-a-job.yml"

failed=
cp .github/workflows/*.yml "$work/.github/workflows"
(cd "$work" && "${ACTIONLINT:-$home/bin/actionlint}" -no-color -shellcheck "$home/bin/shellcheck") || failed=yes
"$home/bin/zizmor" --offline --no-progress --min-severity low --config tests/action/zizmor.yml \
  .github/workflows/*.yml examples/github/*.yml action.yml || failed=yes
"$home/bin/shellcheck" .ci/run examples/*.sh tests/*.sh || failed=yes
[ -z "$failed" ] || exit 1
echo "actionlint and zizmor find nothing to say"
