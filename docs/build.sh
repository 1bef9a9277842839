#!/usr/bin/env bash
# Set up what is missing and build the documentation site, in which a warning
# is an error. Arguments go to Sphinx:
#
#   bash docs/build.sh       build what has changed
#   bash docs/build.sh -E    build all anew
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bash "$root/tools/setup_env.sh"
# shellcheck source=/dev/null
source "${VIRTUAL_ENV:-$root/.venv}/bin/activate"
cd "$root"
echo '==> documentation site (what is installed already is kept; a minute)'
python -m pip --no-input --disable-pip-version-check install -q \
    -r requirements/docs.txt -c requirements/constraints.txt
# The sources are the whole repository: docs/conf.py says why. What Sphinx has
# read it does not warn of again, so that a failure must leave nothing read.
python -m sphinx -q -b html -c docs -d docs/_build/doctrees \
    -W --keep-going "$@" . docs/_build/html ||
    { rm -rf docs/_build/doctrees && exit 1; }
echo "    built: $root/docs/_build/html/index.html"
