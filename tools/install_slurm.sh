#!/usr/bin/env bash
# Install Slurm (controller, node, client) and munge from Debian's packages, for the one-node
# cluster of tools/slurm_one_node.sh. Nothing is started: the services that the packages would
# start need a cluster-wide configuration, and ours has one of its own.
set -euo pipefail

have_all() {
  local program
  for program in slurmctld slurmd sbatch munged; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null || return 1
  done
}

if have_all; then
  echo "Slurm is installed: $(PATH="$PATH:/usr/sbin:/sbin" slurmctld -V)"
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "install_slurm: no apt-get here; install slurmctld, slurmd, the Slurm commands and munge yourself" >&2
  exit 1
fi
root=()
[ "$(id -u)" = 0 ] || root=(sudo -n)
if ! "${root[@]}" true 2>/dev/null; then
  echo "install_slurm: needs root: sudo apt-get install slurmctld slurmd slurm-client munge" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
"${root[@]}" apt-get update -qq
# RUNLEVEL=1: the packages' scripts start no service.
"${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
  apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge
echo "Installed: $(PATH="$PATH:/usr/sbin:/sbin" slurmctld -V)"
