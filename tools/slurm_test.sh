#!/usr/bin/env bash
# Test a detector on a slurm cluster:
#
#   bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT \
#       [ARGS of test.py]
#
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS come from the environment.
# Each node gets one task, which starts the node's processes as dist_test.sh
# does, by torchrun.
set -euo pipefail

if [ $# -lt 4 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG CHECKPOINT [ARGS of test.py]" >&2
    exit 2
fi
gpus=${GPUS:-8}
gpus_per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
nodes=$(((gpus + gpus_per_node - 1) / gpus_per_node))
read -ra srun_args <<<"${SRUN_ARGS:-}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Each node expands this: there slurm sets the number of the node.
# shellcheck disable=SC2016
on_node='NNODES=$SLURM_NNODES NODE_RANK=$SLURM_NODEID \
    MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1) \
    exec bash "$0" "$@"'
exec srun \
    -p "$1" \
    --job-name="$2" \
    --gres="gpu:$gpus_per_node" \
    --nodes="$nodes" \
    --ntasks-per-node=1 \
    --cpus-per-task="$((${CPUS_PER_TASK:-5} * gpus_per_node))" \
    --kill-on-bad-exit=1 \
    ${srun_args[@]+"${srun_args[@]}"} \
    bash -c "$on_node" "$here/dist_test.sh" "$3" "$4" "$gpus_per_node" "${@:5}"
