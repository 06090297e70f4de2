#!/usr/bin/env bash
# The whole story in one minute: plan, apply, change git, apply again.
# Wants PREFECT_API_URL (`just demo` gives it a throw-away server) and a built reconcile in target/debug or RECONCILE.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
reconcile=${RECONCILE:-$root/target/debug/reconcile}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$root/examples/hello" "$work/"
cd "$work/hello"
commit() { git add -A && git -c user.name=demo -c user.email=demo@example.org commit -qm "$1"; }
git init -q -b main && commit "hello"

step() { printf '\n\033[1m# %s\033[0m\n$ reconcile %s\n' "$1" "${*:2}"; "$reconcile" "${@:2}" || code=$?; }
code=0
step "What would happen?" plan
step "Make it so" apply --yes
step "Nothing changed means nothing sent" plan
sed -i.bak 's/0 7 \* \* mon-fri/30 8 * * mon-fri/' prefect.yaml && rm prefect.yaml.bak && commit "sleep in"
step "A change in git" plan
step "Only that is written" apply --yes
step "And nothing is left to do" plan
exit "$code"
