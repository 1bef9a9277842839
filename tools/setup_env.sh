#!/usr/bin/env bash
# Install everything that the package, its tools and its tests need. The
# machine needs Python 3.10 to 3.13, a C++ compiler and a package index:
#
#   bash tools/setup_env.sh
#
# The script works in the active virtual environment. Without one it makes
# .venv in this package's folder; afterwards: source .venv/bin/activate
# Installed packages stay: a second run takes seconds, and an interrupted one
# continues. Where packages of the older line are installed (mmengine, mmcv,
# mmdet) the script completes that line.
#
#   PYTHON=python3.11    the interpreter to make .venv with (default: python3)
#   SNIPER_WHEELS=DIR    take mmcv's wheel from DIR, and keep a built one there
#   SNIPER_BUILD_MMCV=1  build mmcv's ops, for CPU, although there is a GPU
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${VIRTUAL_ENV:-$root/.venv}
py=$venv/bin/python
log=$venv/setup.log
ready=$venv/.sniper_mmdet_ready
pins=$venv/pins.txt
number=0
total=5
# torch, which builds mmcv, builds in parallel only where it finds ninja.
export PATH="$venv/bin:$PATH"

step() {  # step NAME WHY
    number=$((number + 1))
    name=$1
    started=$SECONDS
    echo "==> [$number/$total] $name ($2)"
    if [ -w "$log" ]; then echo "=== [$number/$total] $name" >>"$log"; fi
}

finish() { echo "    done in $((SECONDS - started)) s"; }

skip() { echo "    already there, skipped${1:+ ($1)}"; }  # skip [VERSION]

die() {  # die CAUSE: no command failed, so the log has no details
    printf '\nset-up stopped at step [%s/%s] %s:\n  %s\n' \
        "$number" "$total" "$name" "$1" >&2
    exit 1
}

fail() {  # fail CAUSE: a command failed, and the log has details
    local tail
    # Only the lines of this step.
    tail=$(awk '/^=== \[/ { text = ""; next } { text = text $0 "\n" }
                END { printf "%s", text }' "$log" | tail -n 15)
    printf '\nset-up failed at step [%s/%s] %s:\n  %s\n' \
        "$number" "$total" "$name" "$1" >&2
    printf '%s\n' "$tail" | sed 's/^/    | /' >&2
    echo "  the whole log: $log" >&2
    exit 1
}

run() {  # run COMMAND...: its output goes to the log
    echo "+ $*" >>"$log"
    local code=0
    "$@" >>"$log" 2>&1 || code=$?
    [ "$code" -eq 0 ] || fail "exit code $code from: $*"
}

pip() { run "$py" -m pip --no-input --disable-pip-version-check "$@"; }

query() {  # query QUESTION: asks about installed packages without imports
    "$py" - "$root" "$@" <<'PYTHON'
import json
import re
import shutil
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

root, question = Path(sys.argv[1]), sys.argv[2]
sys.path.insert(0, str(root))

from sniper_mmdet.utils.dependencies import installed_lines

older = installed_lines() == ['older']
MMCV = ('onedl-mmcv', 'mmcv')
# These packages work with either line.
MIMS = {'onedl-mim': 'openmim', 'openmim': 'onedl-mim'}


def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ''


def lines(name):
    text = (root / 'requirements' / f'{name}.txt').read_text()
    found = (line.split('#')[0].strip() for line in text.splitlines())
    return [line for line in found
            if line and not (older and line.startswith('onedl-'))]


def named(line):
    return re.match(r'[\w.-]+', line)[0]


def satisfied(line):
    try:
        from packaging.requirements import Requirement
    except ImportError:  # a new environment
        return False
    requirement = Requirement(line)
    installed = version(requirement.name)
    return (bool(installed) and requirement.specifier.contains(
                installed, prereleases=True)
            or bool(version(MIMS.get(requirement.name, 'no such package'))))


def missing():
    openmmlab = 'mminstall_older' if older else 'mminstall'
    return [line for name in ('build', 'runtime', openmmlab, 'tests')
            for line in lines(name) if not satisfied(line)
            and named(line) not in MMCV]  # has a step of its own


def pins():
    found = {named(line): line for line in lines('constraints')}
    if older:
        found |= {named(line): line for line in lines('constraints_older')}
    return list(found.values())


def mmcv():
    return [line for line in pins() if named(line) in MMCV]


def constraints():
    """Pins of what is to come; pip then leaves alone what is installed."""
    wanted = {named(line) for line in missing()}
    found = [line for line in pins() if named(line) in wanted
             or not version(named(line))]
    if older and version('numpy'):
        # Packages compiled for one major version do not run with another.
        major = int(version('numpy').split('.')[0])
        found.append(f'numpy<{major + 1}')
    return found


def forget_half_installed():
    """pip takes a package whose installation was cut off for a whole one."""
    for info in Path(sysconfig.get_path('purelib')).glob('*.dist-info'):
        if not (info / 'INSTALLER').exists():  # pip writes it last
            shutil.rmtree(info)


def torch():
    found = version('torch')
    numbers = [int(part) for part in found.split('.')[:2]] if found else []
    return found if numbers >= [2, 1] else ''


def package():
    try:
        dist = metadata.distribution('sniper_mmdet')
    except metadata.PackageNotFoundError:
        return ''
    origin = json.loads(dist.read_text('direct_url.json') or '{}')
    about = {}
    exec((root / 'sniper_mmdet/version.py').read_text(), about)
    return (origin.get('url') == root.as_uri()
            and origin.get('dir_info', {}).get('editable')
            and dist.version == about['__version__']
            and (root / 'sniper_mmdet/.mim/tools').exists() and dist.version)


def stamp():
    return ' '.join(f'{name}={version(name)}' for name in (
        'torch', 'numpy', 'onedl-mmcv', 'onedl-mmengine', 'mmcv', 'mmengine',
        'mmdet'))


answer = globals()[question]()
if answer:
    print('\n'.join(answer) if isinstance(answer, list) else answer)
PYTHON
}

has_ops() { "$py" -c 'import mmcv.ops' >>"$log" 2>&1; }

check_python() {  # check_python PYTHON: mmdet installs on these versions
    local found remedy
    remedy='Python 3.10 to 3.13 is needed; name one: PYTHON=/path/to/python'
    found=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' \
        2>/dev/null) || die "'$1' does not run. $remedy"
    case $found in
    3.10 | 3.11 | 3.12 | 3.13) ;;
    *) die "'$1' is Python $found. $remedy" ;;
    esac
}

if command -v flock >/dev/null; then
    exec 9<"${BASH_SOURCE[0]}"
    flock -n 9 || { echo 'waiting for another set-up to end'; flock 9; }
fi
if [ -n "${SNIPER_WHEELS:-}" ]; then
    mkdir -p "$SNIPER_WHEELS"
    SNIPER_WHEELS=$(cd "$SNIPER_WHEELS" && pwd)
fi

# 1. The environment -------------------------------------------------------
step 'virtual environment' "$venv; seconds"
if [ -n "${VIRTUAL_ENV:-}" ] || "$py" -c '' 2>/dev/null; then
    check_python "$py"
    : >"$log"
    # An interrupted run, and some tools, leave an environment without pip.
    "$py" -m pip --version >/dev/null 2>&1 || run "$py" -m ensurepip
    skip
else
    check_python "${PYTHON:-python3}"
    # An environment whose python does not run cannot be used again.
    rm -rf "$venv"
    mkdir "$venv"
    : >"$log"
    run "${PYTHON:-python3}" -m venv "$venv"
    finish
fi
cd "$root"
if [ -z "${VIRTUAL_ENV:-}" ] && [ ! -e "$ready" ]; then
    query forget_half_installed
fi
[ "$(query installed_lines | wc -l)" -lt 2 ] ||
    die "packages of both lines are here, which overwrite each other's files; \
remove them all:
    $py -m pip uninstall mmengine mmcv mmdet onedl-mmengine onedl-mmcv \
onedl-mmdetection
  and run this again, which brings the newer line; for the older one run first:
    $py -m pip install mmdet"
query pins >"$pins"
was=$(cat "$ready" 2>/dev/null || true)

# 2. torch -----------------------------------------------------------------
step 'torch' 'kept from 2.1 on; else minutes: the default for Linux brings CUDA'
torch=$(query torch)
if [ -n "$torch" ]; then
    skip "$torch"
else
    rm -f "$ready"
    pip install torch -c "$pins"
    finish
fi

# 3. Everything that is a wheel --------------------------------------------
step 'mmengine, mmdet, mim, numba, pytest, ...' 'about 2 minutes'
query missing >"$venv/missing.txt"
if [ ! -s "$venv/missing.txt" ]; then
    skip
else
    rm -f "$ready"
    query constraints >"$venv/constraints.txt"
    pip install -r "$venv/missing.txt" -c "$venv/constraints.txt"
    finish
fi
if [ "$was" != "$(query stamp)" ] &&
    ! "$py" -c 'import cv2' >>"$log" 2>&1; then
    # The requirements name two builds of OpenCV, which share one folder. The
    # build that opens windows needs libGL, which a server may not have.
    echo '    cv2 does not import; installing the build without windows'
    pip install --force-reinstall --no-deps opencv-python-headless \
        -c "$pins"
    run "$py" -c 'import cv2'
fi

# 4. mmcv's compiled ops ---------------------------------------------------
step 'mmcv with compiled ops' \
    'the index has only its source; compiled once, 4 minutes on 2 cores'
mmcv=$(query mmcv)
if { [ -e "$ready" ] && [ "$was" = "$(query stamp)" ]; } || has_ops; then
    skip
else
    rm -f "$ready"
    if "$py" -m pip show -q mmcv-lite 2>/dev/null; then
        die "mmcv-lite is installed, which has no ops; remove it \
($py -m pip uninstall mmcv-lite) and run this again"
    fi
    if [ -n "${SNIPER_WHEELS:-}" ] && "$py" -m pip install --no-index \
        --find-links "$SNIPER_WHEELS" --only-binary :all: --no-deps \
        --force-reinstall "$mmcv" >>"$log" 2>&1 && has_ops; then
        echo "    installed the wheel from $SNIPER_WHEELS"
    else
        if [ -z "${SNIPER_BUILD_MMCV:-}" ] && "$py" -c \
            'import sys, torch; sys.exit(not torch.cuda.is_available())' \
            >>"$log" 2>&1; then
            die "there is a GPU here, and a build for it takes long. Try the \
ready wheel first:
    $venv/bin/mim install $mmcv
  and run this again; or build the ops for CPU only:
    SNIPER_BUILD_MMCV=1 bash tools/setup_env.sh"
        fi
        command -v "${CXX:-c++}" >/dev/null ||
            die "no C++ compiler: '${CXX:-c++}' is not found; install one \
(Debian, Ubuntu: apt-get install g++) or name one with CXX"
        headers=$("$py" -c \
            'import sysconfig; print(sysconfig.get_path("include"))')
        [ -e "$headers/Python.h" ] ||
            die "Python's headers are not in $headers; install them (Debian, \
Ubuntu: apt-get install python3-dev)"
        echo "    compiling; to watch it: tail -f $log"
        # With a visible GPU mmcv would be built for CUDA.
        CUDA_VISIBLE_DEVICES='' run "$py" tools/misc/build_mmcv_ops.py \
            "$mmcv" ${SNIPER_WHEELS:+--wheel-dir "$SNIPER_WHEELS"}
        has_ops || fail 'mmcv was built, but its ops do not import'
    fi
    finish
fi
if [ ! -e "$ready" ]; then
    run "$py" -c 'import mmdet'  # it refuses some versions of mmcv
fi

# 5. This package ----------------------------------------------------------
step 'sniper_mmdet' 'editable: edits take effect at once; seconds'
if [ -n "$(query package)" ]; then
    skip
else
    rm -f "$ready"
    pip install -e . --no-build-isolation --no-deps
    finish
fi
query stamp >"$ready.new"
mv "$ready.new" "$ready"
