#!/usr/bin/env bash
# slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [ARGS of train.py]; GPUS,
# GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS come from the environment.
set -euo pipefail

if [ $# -lt 4 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG WORK_DIR [ARGS of train.py]" >&2
    exit 2
fi
partition=$1
job_name=$2
config=$3
work_dir=$4
gpus=${GPUS:-8}
gpus_per_node=${GPUS_PER_NODE:-8}
read -ra srun_args <<<"${SRUN_ARGS:-}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}" exec srun \
    -p "$partition" \
    --job-name="$job_name" \
    --gres="gpu:$gpus_per_node" \
    --ntasks="$gpus" \
    --ntasks-per-node="$gpus_per_node" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${srun_args[@]+"${srun_args[@]}"} \
    python -u "$here/train.py" "$config" --work-dir "$work_dir" \
    --launcher slurm "${@:5}"
