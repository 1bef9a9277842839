#!/usr/bin/env bash
# Test a detector on several GPUs, by torchrun:
#
#   bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [ARGS of test.py]
#
# On several machines also set NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT GPUS [ARGS of test.py]" >&2
    exit 2
fi
config=$1
checkpoint=$2
gpus=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}" exec torchrun \
    --nnodes="${NNODES:-1}" \
    --node-rank="${NODE_RANK:-0}" \
    --nproc-per-node="$gpus" \
    --master-addr="${MASTER_ADDR:-127.0.0.1}" \
    --master-port="${PORT:-29500}" \
    "$here/test.py" "$config" "$checkpoint" --launcher pytorch "${@:4}"
