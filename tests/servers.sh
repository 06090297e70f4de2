#!/usr/bin/env bash
# The tests that talk to a server, on other servers than the default one: each version of Prefect that has a lock in
# tests/servers, and the default version with PostgreSQL below it. Installs what is missing.
#
# usage: tests/servers.sh [install] [VERSION | postgres]… [-- FILTER…]
#   tests/servers.sh                        all of them
#   tests/servers.sh 3.4.25 postgres        these
#   tests/servers.sh 3.6.29 -- ownership::  these tests only
#   tests/servers.sh install                no tests; prints the interpreters
#
# Environments are kept in $RECONCILE_SERVERS_DIR, else in servers/ of the cache directory. What follows is read by
# tests/it/support and can be set by hand as well:
#   RECONCILE_TEST_SERVER_PYTHON   an interpreter whose Prefect the servers are
#   RECONCILE_TEST_PYTHON          the one whose rules are followed and whose `prefect deploy` is compared with
#   RECONCILE_TEST_DATABASE        `postgres`: below every server; PG_BIN names its programs if they are not found
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${RECONCILE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/reconcile}
home=${RECONCILE_SERVERS_DIR:-$cache/servers}
modules=(api:: block_data:: builds_seen:: canaries:: cli:: crash:: docs:: drift:: environments:: everything:: faults::
  going_back:: held:: hosts:: impact:: imports:: leaving:: ledger_by_hand:: lock:: many:: notify:: objects:: ownership::
  parity:: plan_is_safe:: postgres:: probe:: release:: remembered:: remote:: renames:: render:: resources:: saved_plans::
  schedules:: schemas:: second_pass:: secrets:: serve:: signals:: status:: triggers:: watch::)

# The environment of a version is named after its lock; it counts when its last file is there.
environment() {
  echo "$home/prefect-$1-$(sha256sum "tests/servers/prefect-$1.lock" | cut -c 1-8)"
}

python_for() { # the newest Python that Prefect 3.4 to 3.9 can all run on
  local name
  for name in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
    if "$name" -I -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
  echo "needs Python 3.11 to 3.13: PYTHON=/path/to/python tests/servers.sh" >&2
  exit 1
}

install() {
  local version=$1 dir
  dir=$(environment "$version")
  if [ ! -e "$dir/.complete" ]; then
    echo "installing Prefect $version into $dir" >&2
    rm -rf "$dir"
    mkdir -p "$home"
    "$(python_for)" -I -m venv "$dir"
    "$dir/bin/python" -I -m pip --disable-pip-version-check --no-input install --quiet --no-deps --require-hashes \
      --only-binary :all: -r "tests/servers/prefect-$version.lock"
    touch "$dir/.complete"
  fi
  echo "$dir/bin/python"
}

targets=()
while [ $# != 0 ] && [ "$1" != -- ]; do
  targets+=("$1")
  shift
done
[ $# = 0 ] || shift
[ $# = 0 ] || modules=("$@")
only_install=
if [ "${targets[0]-}" = install ]; then
  only_install=1
  targets=("${targets[@]:1}")
fi
if [ ${#targets[@]} = 0 ]; then
  for lock in tests/servers/prefect-*.lock; do
    lock=${lock##*/prefect-}
    targets+=("${lock%.lock}")
  done
  targets+=(postgres)
fi

failed=()
for target in "${targets[@]}"; do
  if [ "$target" = postgres ]; then
    [ -z "$only_install" ] || continue
    echo "== the default version, with PostgreSQL"
    RECONCILE_TEST_DATABASE=postgres cargo test --test it -- "${modules[@]}" </dev/null || failed+=("$target")
    continue
  fi
  [ -e "tests/servers/prefect-$target.lock" ] || { echo "no tests/servers/prefect-$target.lock" >&2; exit 1; }
  python=$(install "$target")
  if [ -n "$only_install" ]; then
    echo "$target $python"
    continue
  fi
  echo "== Prefect $target"
  RECONCILE_TEST_SERVER_PYTHON=$python cargo test --test it -- "${modules[@]}" </dev/null || failed+=("$target")
done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
