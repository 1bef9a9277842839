#!/usr/bin/env bash
# Train SNIPER with negative chips, from a config that has none:
#
#   bash tools/train_neg_props_and_sniper.sh CONFIG [WORK_DIR] [KEY=VALUE ...]
#
# 1. trains the detector's RPN alone for 2 epochs on positive chips (or, where
#    the detector has no RPN, the detector),
# 2. extracts its proposals on the training images,
# 3. trains the detector on positive chips and the negative ones that are mined
#    from the proposals.
#
# The default of WORK_DIR is work_dirs/CONFIG's name + _neg. A stage whose
# result is in WORK_DIR is skipped, and an interrupted stage continues, if the
# config and options are the same; WORK_DIR/STAGE.txt records them. KEY=VALUE
# are options of the config, for all stages. A WORK_DIR with a = in its name
# needs a slash before it, as ./lr=0.02. Environment variables: GPUS, the
# processes of each stage (default 1); RPN_EPOCHS (default 2); EXTRACT_ARGS,
# arguments of tools/extract_proposals.py.
set -euo pipefail

die() {
    echo "$0: $1" >&2
    exit "${2:-1}"
}

if [ $# -lt 1 ] || [ "${1:0:1}" = - ]; then
    echo "usage: $0 CONFIG [WORK_DIR] [KEY=VALUE ...]" >&2
    exit 2
fi
config=$1
[ -f "$config" ] || die "there is no config $config" 2
shift
work=work_dirs/$(basename "$config" .py)_neg
is_option='^[^=/-][^=/]*='
if [ $# -gt 0 ] && [[ ! $1 =~ $is_option && $1 != -* ]]; then
    work=$1
    shift
fi
for option; do
    [[ $option =~ $is_option ]] || die "$option is not KEY=VALUE" 2
    [ ! -d "$option" ] ||
        die "$option is a folder; if it is WORK_DIR, say ./$option" 2
done
read -ra extract_args <<<"${EXTRACT_ARGS:-}"
gpus=${GPUS:-1} epochs=${RPN_EPOCHS:-2}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$work"
if command -v flock >/dev/null; then
    exec 9<"$work"
    busy=0
    flock --nonblock --conflict-exit-code 99 9 2>/dev/null || busy=$?
    # Other codes mean that the file system has no locks.
    [ "$busy" != 99 ] || die "another run of this is at work in $work"
fi

launch() {  # launch TOOL ARGS...: runs it on GPUS processes
    local tool=$1
    shift
    if [ "$gpus" -gt 1 ]; then
        PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}" torchrun \
            --nproc-per-node="$gpus" --master-port="${PORT:-29500}" \
            "$here/$tool" "$@" --launcher pytorch 9<&-
    else
        python "$here/$tool" "$@" 9<&-
    fi
}

same() {  # same STAGE RESULT SETTINGS: checks those of an earlier run
    local note=$work/$1.txt result=$2
    [ -e "$result" ] || result=$work/$1
    if [ -e "$result" ] && [ ! -e "$note" ]; then
        echo "$0: the config and options of $result are not known;" \
            'it is used as it is' >&2
    elif [ -e "$result" ] && [ "$(cat "$note")" != "$3" ]; then
        diff "$note" - <<<"$3" | grep '^[<>]' | head -n 6 >&2 || true
        die "$result is of another config or of other options (above: < \
there, > now): name another WORK_DIR; or remove $note to use it all the same, \
or $2 and $work/$1 to make it anew"
    else
        printf '%s\n' "$3" >"$note.tmp"
        mv "$note.tmp" "$note"
    fi
}

train() {  # train NAME ARG...: its last checkpoint becomes NAME.pth, whole
    local name=$1 result=$work/$1.pth
    shift
    if [ -e "$result" ]; then
        echo "    already there, skipped: $result"
        return
    fi
    local resume=()
    [ ! -e "$work/$name/last_checkpoint" ] || resume=(--resume)
    launch train.py "$config" --work-dir "$work/$name" \
        ${resume[@]+"${resume[@]}"} "$@"
    cp "$(cat "$work/$name/last_checkpoint")" "$result.tmp" || {
        rm -f "$result.tmp"
        die "$result cannot be written"
    }
    mv "$result.tmp" "$result"
}

about=$(python - "$config" ${1:+--cfg-options "$@"} <<'PYTHON'
from mmengine.config import Config

from sniper_mmdet.utils import cli
from sniper_mmdet.utils.config_text import settings

args = cli.parse(cli.make_parser('', cli.add_config))
with cli.quiet():
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
for hook in cfg.get('custom_hooks') or []:
    if str(hook.get('type')).endswith('NegativeChipMiningHook'):
        raise SystemExit(
            f'{args.config} has a NegativeChipMiningHook, which mines '
            'negative chips itself: train it with tools/train.py, or give it a '
            'ChipMiningHook.')
detector = cfg.model.get('detector')
heads = detector if isinstance(detector, dict) else cfg.model
print('no' if heads.get('rpn_head') is None else 'yes')
print('\n'.join(settings(cfg.to_dict())))
PYTHON
)
# In some networks the RPN does not use all outputs of the backbone.
rpn=()
if [ "${about%%$'\n'*}" = yes ]; then
    rpn=(model.rpn_only=True find_unused_parameters=True)
fi
proposals=$work/proposals.npz
of_rpn="${about#*$'\n'}
RPN_EPOCHS=$epochs"
of_proposals="$of_rpn
EXTRACT_ARGS=${EXTRACT_ARGS:-}"
same rpn "$work/rpn.pth" "$of_rpn"
same proposals "$proposals" "$of_proposals"
same sniper "$work/sniper.pth" "$of_proposals"

echo "==> [1/3] ${rpn:+RPN of }the detector, on positive chips; to $work"
train rpn --cfg-options "$@" ${rpn[@]+"${rpn[@]}"} \
    train_cfg.max_epochs="$epochs" train_cfg.val_begin=9999 \
    train_dataloader.dataset.proposals=None

echo '==> [2/3] proposals on the training images'
if [ -e "$proposals" ]; then
    echo "    already there, skipped: $proposals"
else
    # The config builds the whole detector, which loads the RPN's weights.
    launch extract_proposals.py "$config" "$work/rpn.pth" --out "$proposals" \
        ${extract_args[@]+"${extract_args[@]}"} \
        ${1:+--cfg-options "$@"}
fi

echo '==> [3/3] the detector, on positive and negative chips'
train sniper --proposals "$proposals" ${1:+--cfg-options "$@"}
echo "the detector: $work/sniper.pth"
