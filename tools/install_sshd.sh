#!/usr/bin/env bash
# Install OpenSSH's server from Debian's packages, for the test of DVC's SSH remote. The test starts
# one of its own on the loopback address; the package's service is not started.
set -euo pipefail

if PATH="$PATH:/usr/sbin" command -v sshd >/dev/null; then
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "install_sshd: no apt-get here; install OpenSSH's server yourself" >&2
  exit 1
fi
root=()
[ "$(id -u)" = 0 ] || root=(sudo -n)
"${root[@]}" apt-get update -qq
# RUNLEVEL=1: the package's scripts start no service.
"${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
  apt-get install -y --no-install-recommends openssh-server
