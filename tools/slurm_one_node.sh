#!/usr/bin/env bash
# A private one-node Slurm cluster in a folder: controller, node, munge, and GPUs that are
# none (a GRES on harmless device files), without cgroups, accounting or any system service.
#
#   tools/slurm_one_node.sh start FOLDER     then: source FOLDER/environment
#   tools/slurm_one_node.sh status FOLDER
#   tools/slurm_one_node.sh stop FOLDER      ends its jobs and its daemons; logs stay
#
# Partitions: main (default), and urgent, whose jobs preempt those of main, which are requeued.
# CPUS and MEMORY_MB (environment) say what the node claims to have; it may be more than there is.
set -euo pipefail

usage() {
  sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

[ $# = 2 ] || usage
action=$1
PATH="$PATH:/usr/sbin:/sbin"
gpus=(/dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty) # harmless files
node=one

start() {
  mkdir -p "$1"
  folder=$(cd "$1" && pwd)
  require_programs
  if running slurmctld; then
    echo "slurm_one_node: already running in $folder" >&2
    exit 1
  fi
  mkdir -p "$folder"/{bin,log,run,state,spool,munge}
  chmod 755 "$folder" # munge wants folders that nobody else can write to
  chmod 700 "$folder/munge"
  write_configuration
  write_environment
  export SLURM_CONF="$folder/slurm.conf"
  start_munge
  slurmctld -L "$folder/log/slurmctld.log"
  slurmd -N "$node" -L "$folder/log/slurmd.log"
  wait_until "the node to be idle" node_is_idle
  echo "The cluster runs. Its users need: source $folder/environment"
}

stop() {
  folder=$(cd "$1" && pwd)
  export SLURM_CONF="$folder/slurm.conf"
  if running slurmctld; then
    scancel --user "$(id -un)" --state PENDING 2>/dev/null || true
    # Twice: the second ends what a job that was just starting began.
    for _ in 1 2; do
      scancel --user "$(id -un)" --signal KILL --full 2>/dev/null || true
      scancel --user "$(id -un)" 2>/dev/null || true
      sleep 1
    done
    wait_until "the last job to end" no_jobs || true
  fi
  local name
  for name in slurmctld slurmd munged; do
    end_daemon "$name"
  done
}

status() {
  folder=$(cd "$1" 2>/dev/null && pwd) || { echo "no cluster in $1" && exit 1; }
  export SLURM_CONF="$folder/slurm.conf"
  local name missing=0
  for name in munged slurmctld slurmd; do
    if running "$name"; then
      echo "$name: running, process $(cat "$folder/run/$name.pid")"
    else
      echo "$name: not running"
      missing=1
    fi
  done
  [ "$missing" = 0 ] || exit 1
  sinfo --Node --format "%N %P %T %c CPUs %m MB %G"
  squeue
}

require_programs() {
  local program
  for program in munged slurmctld slurmd sbatch; do
    if ! command -v "$program" >/dev/null; then
      echo "slurm_one_node: $program is not installed; tools/install_slurm.sh installs it" >&2
      exit 1
    fi
  done
}

write_configuration() {
  local host user ports
  host=$(uname -n | cut -d. -f1)
  user=$(id -un)
  read -ra ports <<<"$(free_ports)"
  cat >"$folder/slurm.conf" <<EOF
ClusterName=one_node
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmdPort=${ports[1]}
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd.pid
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=5
MinJobAge=3600
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=2,preempt_youngest_first
SlurmdParameters=config_overrides
NodeName=$node NodeHostname=$host NodeAddr=127.0.0.1 CPUs=${CPUS:-8} RealMemory=${MEMORY_MB:-64000} Gres=gpu:${#gpus[@]}
PartitionName=main Nodes=$node Default=YES MaxTime=INFINITE PriorityTier=1
PartitionName=urgent Nodes=$node MaxTime=INFINITE PriorityTier=2 PreemptMode=OFF
EOF
  echo "NodeName=$node Name=gpu File=$(IFS=, && echo "${gpus[*]}")" >"$folder/gres.conf"
}

# Snakemake's executor takes SLURM_CONF out of a job's environment, and without it srun looks for
# the configuration of the machine. Hence a srun of our own, first in PATH.
write_environment() {
  printf '#!/bin/sh\nSLURM_CONF=%q exec %q "$@"\n' \
    "$folder/slurm.conf" "$(command -v srun)" >"$folder/bin/srun"
  chmod +x "$folder/bin/srun"
  printf 'export SLURM_CONF=%q\nexport PATH=%q:$PATH\n' \
    "$folder/slurm.conf" "$folder/bin" >"$folder/environment"
}

free_ports() {
  python3 - <<'EOF'
import socket

sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(each.getsockname()[1] for each in sockets))
EOF
}

# By force: it serves one user, so its socket may lie in a folder that others cannot enter.
start_munge() {
  (umask 077 && head -c 1024 /dev/urandom >"$folder/munge/key")
  munged --force --key-file "$folder/munge/key" --socket "$folder/run/munge.socket" \
    --pid-file "$folder/run/munged.pid" --log-file "$folder/log/munged.log" \
    --seed-file "$folder/munge/seed" --num-threads 2 2>>"$folder/log/munged.log"
}

node_is_idle() {
  [ "$(sinfo --noheader --partition main --format %T 2>/dev/null)" = idle ]
}

no_jobs() {
  [ -z "$(squeue --noheader 2>/dev/null)" ]
}

wait_until() {
  local what=$1 check=$2 _
  for _ in $(seq 150); do
    if "$check"; then return 0; fi
    sleep 0.2
  done
  echo "slurm_one_node: waited 30 s for $what; see $folder/log" >&2
  return 1
}

# Whether the daemon $1 of this folder lives; a dead process that nobody has collected does not.
running() {
  local pid stat
  pid=$(cat "$folder/run/$1.pid" 2>/dev/null) || return 1
  stat=$(cat "/proc/$pid/stat" 2>/dev/null) || return 1
  [[ $stat == "$pid ($1) "[!ZX]* ]]
}

end_daemon() {
  local pid _
  running "$1" || return 0
  pid=$(cat "$folder/run/$1.pid")
  kill "$pid"
  for _ in $(seq 100); do
    running "$1" || return 0
    sleep 0.1
  done
  kill -9 "$pid"
}

case "$action" in
start | stop | status) "$action" "$2" ;;
*) usage ;;
esac
