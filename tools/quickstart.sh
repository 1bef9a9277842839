#!/usr/bin/env bash
# Set up the package and train a detector with SNIPER, on two CPU cores:
#
#   bash tools/quickstart.sh [WORK_DIR]
#
# The script sets up the environment (tools/setup_env.sh), makes the sample
# scenes, draws some chips and trains. It tests over the image pyramid and at
# its middle level alone and, on large scenes with few objects, compares
# AutoFocus with the pyramid. It draws detections and the parts that AutoFocus
# looked at. WORK_DIR (default: work_dirs/quickstart) holds all results; a step
# whose result is there is skipped.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=${1:-$root/work_dirs/quickstart}
mkdir -p "$work"
work=$(cd "$work" && pwd)

bash "$root/tools/setup_env.sh"
# shellcheck source=/dev/null
source "${VIRTUAL_ENV:-$root/.venv}/bin/activate"
cd "$root"

# One training gives SNIPER's detector and AutoFocus's focus head: the
# checkpoint also loads into the plain detector.
config=configs/sniper/faster-rcnn_r18-slim_fpn_sniper_2e_sample.py
autofocus=configs/autofocus/faster-rcnn_r18-slim_fpn_autofocus_3e_sample.py
sparse=(test_dataloader.dataset.data_root=data/sparse/
    test_evaluator.0.ann_file=data/sparse/val.json)
number=0
total=8

progress() {  # show at once the lines that report progress
    # Some versions of awk, such as mawk, read a whole block before they start.
    local line telling='Epoch\((train|test)\) .*[05]0/|mined'
    while IFS= read -r line || [ -n "$line" ]; do
        if [[ $line =~ $telling ]]; then echo "    ${line:0:130}"; fi
    done
}

step() {  # step NAME EXPECTATION RESULT COMMAND...: RESULT appears whole
    local name=$1 expectation=$2 result=$3 log started=$SECONDS
    shift 3
    number=$((number + 1))
    echo "==> [$number/$total] $name ($expectation)"
    if [ -e "$result" ]; then
        echo "    already there, skipped: ${result#"$root"/}"
        return
    fi
    log=$work/step$number.log
    if ! "$@" 2>&1 | tee "$log" | progress; then
        printf '\nquick start failed at step [%s/%s] %s:\n' \
            "$number" "$total" "$name" >&2
        tail -n 15 "$log" | sed 's/^/    | /' >&2
        echo "  the whole log: $log" >&2
        exit 1
    fi
    echo "    done in $((SECONDS - started)) s"
}

train() {  # without the test at the end, which is the next step
    python tools/train.py $autofocus --work-dir "$work/train" --resume \
        --cfg-options randomness.seed=0 train_cfg.max_epochs=2 \
        train_cfg.val_begin=99 &&
        cp "$(cat "$work/train/last_checkpoint")" "$work/sniper.pth.tmp" &&
        mv "$work/sniper.pth.tmp" "$work/sniper.pth" && return
    rm -f "$work/sniper.pth.tmp"
    return 1
}

evaluate() {  # evaluate NAME [OPTION...]
    local name=$1
    shift
    rm -rf "$work/$name.tmp"
    python tools/test.py $config "$work/sniper.pth" --eval bbox \
        --work-dir "$work/$name.tmp" ${1:+--cfg-options "$@"} &&
        mv "$work/$name.tmp" "$work/$name"
}

curve() {  # every level alone, the pyramid, and AutoFocus, on large scenes
    python tools/analysis_tools/focus_curve.py $autofocus "$work/sniper.pth" \
        --num 4 --factors 1 3 10 --ground-truth --cfg-options "${sparse[@]}" \
        > "$work/autofocus.txt.tmp" &&
        mv "$work/autofocus.txt.tmp" "$work/autofocus.txt"
}

pictures() {  # pictures NAME COMMAND...: the folder NAME appears whole
    local name=$1
    shift
    rm -rf "$work/$name.tmp"
    "$@" --out-dir "$work/$name.tmp" && mv "$work/$name.tmp" "$work/$name"
}

step 'sample data' 'scenes with many small objects; 10 s' data/sample \
    python tools/dataset_converters/make_sample_data.py data/sample
step 'pictures of chips' 'what SNIPER trains on; 10 s' "$work/chips" \
    pictures chips python tools/analysis_tools/browse_chips.py $config --num 6
step 'training' 'from random weights; 4 minutes on 2 cores' \
    "$work/sniper.pth" train
step 'test: image pyramid' '24 whole scenes, 3 levels; 1 minute' \
    "$work/test_pyramid" evaluate test_pyramid
step 'test: middle level alone' 'the same weights; 20 s' \
    "$work/test_single" evaluate test_single 'model.scales=[0.75]' \
    model.valid_ranges=None
step 'large scenes' '3000x3000 px with few objects; 5 s' data/sparse \
    python tools/dataset_converters/make_sample_data.py data/sparse \
    --train 1 --val 10 --size 3000 3000 --objects 3 8 --seed 7
step 'AutoFocus beside the pyramid' 'the same weights; 2 minutes' \
    "$work/autofocus.txt" curve
mkdir -p "$work/scenes"
ln -sf "$root"/data/sample/images/val_0000[0-3].jpg "$work/scenes"
for i in 0 1; do
    ln -sf "$root/data/sparse/images/val_0000$i.jpg" "$work/scenes/large_$i.jpg"
done
step 'pictures of detections' '6 scenes; 30 s' "$work/detections" \
    pictures detections python tools/image_demo.py "$work/scenes" \
    $autofocus "$work/sniper.pth" --score-thr 0.5 --show-focus

python tools/analysis_tools/compare_results.py \
    'image pyramid'="$work/test_pyramid" 'middle level'="$work/test_single"
echo
cat "$work/autofocus.txt"
echo "pictures of chips:      $work/chips"
echo "pictures of detections: $work/detections/vis"
echo "what was looked at:     $work/detections/focus"
