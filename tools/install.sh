#!/usr/bin/env bash
# Make the environment in the folder $1: Python 3.11 to 3.13, the packages of
# requirements.lock (checked against their hashes), and medhash itself.
set -euo pipefail
venv=${1:-.venv}
uv_version=0.13.8

python_in_range() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null && python_in_range "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  echo "make install: no Python 3.11, 3.12 or 3.13 on the PATH; install one (Debian: apt-get install python3)" >&2
  exit 1
}

# Debian ships Python without pip and venv; uv needs one of the two to arrive.
find_uv() {
  local python=$1
  if command -v uv >/dev/null; then
    command -v uv
    return
  fi
  if [ ! -x .uv/bin/uv ]; then
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
      local root=()
      [ "$(id -u)" = 0 ] || root=(sudo -n)
      if command -v apt-get >/dev/null && "${root[@]}" true 2>/dev/null; then
        ("${root[@]}" apt-get update &&
          "${root[@]}" apt-get install -y --no-install-recommends python3-venv) >&2
      else
        echo "make install: this Python has no venv; install it (Debian: apt-get install python3-venv) or put uv on the PATH" >&2
        exit 1
      fi
    fi
    "$python" -m venv .uv >&2
    .uv/bin/pip install --quiet --disable-pip-version-check "uv==$uv_version" >&2
  fi
  echo "$PWD/.uv/bin/uv"
}

python=$(find_python)
uv=$(find_uv "$python")
export UV_PYTHON_DOWNLOADS=never
"$uv" venv --quiet --allow-existing --python "$python" "$venv"
# Bytecode is compiled now: where PYTHONDONTWRITEBYTECODE is set, every start of
# torch would otherwise compile it anew.
"$uv" pip sync --python "$venv/bin/python" --require-hashes --compile-bytecode requirements.lock
"$uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
