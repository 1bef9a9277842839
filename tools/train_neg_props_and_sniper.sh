#!/usr/bin/env bash
# SNIPER with negative chips, from a config that has none:
#
#   bash tools/train_neg_props_and_sniper.sh CONFIG [WORK_DIR] [KEY=VALUE ...]
#
# 1. trains the detector's RPN alone for 2 epochs on positive chips (or, where
#    the detector has no RPN, the detector),
# 2. extracts its proposals on the training images,
# 3. trains the detector on positive chips and the negative ones that are mined
#    from the proposals.
#
# A stage whose result is in WORK_DIR (default: work_dirs/CONFIG's name +
# _neg) is skipped, and one that was cut off goes on. KEY=VALUE are options of
# the config, for all stages. From the environment: GPUS, processes of each
# stage (default 1); RPN_EPOCHS (default 2); EXTRACT_ARGS, arguments of
# tools/extract_proposals.py.
set -euo pipefail

if [ $# -lt 1 ] || [ "${1:0:1}" = - ]; then
    echo "usage: $0 CONFIG [WORK_DIR] [KEY=VALUE ...]" >&2
    exit 2
fi
config=$1
[ -f "$config" ] || { echo "$0: there is no config $config" >&2; exit 2; }
shift
work=work_dirs/$(basename "$config" .py)_neg
if [ $# -gt 0 ] && [[ $1 != *=* ]]; then
    work=$1
    shift
fi
for option; do
    [[ $option == *=* ]] ||
        { echo "$0: $option is not KEY=VALUE" >&2; exit 2; }
done
read -ra extract_args <<<"${EXTRACT_ARGS:-}"
gpus=${GPUS:-1}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$work"

launch() {  # launch TOOL ARGS...: on as many processes as asked for
    local tool=$1
    shift
    if [ "$gpus" -gt 1 ]; then
        PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}" torchrun \
            --nproc-per-node="$gpus" --master-port="${PORT:-29500}" \
            "$here/$tool" "$@" --launcher pytorch
    else
        python "$here/$tool" "$@"
    fi
}

train() {  # train NAME OPTION...: its last checkpoint becomes NAME.pth, whole
    local name=$1 result=$work/$1.pth
    shift
    if [ -e "$result" ]; then
        echo "    already there, skipped: $result"
        return
    fi
    local resume=()
    [ ! -e "$work/$name/last_checkpoint" ] || resume=(--resume)
    launch train.py "$config" --work-dir "$work/$name" \
        ${resume[@]+"${resume[@]}"} ${1:+--cfg-options "$@"}
    cp "$(cat "$work/$name/last_checkpoint")" "$result.tmp"
    mv "$result.tmp" "$result"
}

rpn=()
has_rpn=$(python - "$config" <<'PYTHON'
import sys

from mmengine.config import Config

cfg = Config.fromfile(sys.argv[1])
for hook in cfg.get('custom_hooks') or []:
    if str(hook.get('type')).endswith('NegativeChipMiningHook'):
        sys.exit(f'{sys.argv[1]} has a NegativeChipMiningHook, and sees to '
                 'negative chips itself: train it with tools/train.py, or '
                 'give it a ChipMiningHook.')
detector = cfg.model.get('detector')
heads = detector if isinstance(detector, dict) else cfg.model
print('no' if heads.get('rpn_head') is None else 'yes')
PYTHON
)
# Of some networks the RPN does not see all that the backbone computes.
if [ "$has_rpn" = yes ]; then
    rpn=(model.rpn_only=True find_unused_parameters=True)
fi

echo "==> [1/3] ${rpn:+RPN of }the detector, on positive chips"
train rpn "$@" ${rpn[@]+"${rpn[@]}"} train_cfg.max_epochs="${RPN_EPOCHS:-2}" \
    train_cfg.val_begin=9999 train_dataloader.dataset.proposals=None

echo '==> [2/3] proposals on the training images'
proposals=$work/proposals.npz
if [ -e "$proposals" ]; then
    echo "    already there, skipped: $proposals"
else
    # The whole detector takes the weights of its RPN.
    launch extract_proposals.py "$config" "$work/rpn.pth" --out "$proposals" \
        ${extract_args[@]+"${extract_args[@]}"} \
        ${1:+--cfg-options "$@"}
fi

echo '==> [3/3] the detector, on positive and negative chips'
train sniper "$@" train_dataloader.dataset.proposals="$proposals"
echo "the detector: $work/sniper.pth"
