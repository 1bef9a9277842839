#!/usr/bin/env bash
# Set up what is missing, check the code and run the tests; arguments go to
# pytest:
#
#   bash tests/run.sh                       all but the slow ones
#   bash tests/run.sh --slow                all
#   bash tests/run.sh tests/test_chips -x   some
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bash "$root/tools/setup_env.sh"
# shellcheck source=/dev/null
source "${VIRTUAL_ENV:-$root/.venv}/bin/activate"
cd "$root"
# Seconds; .pre-commit-config.yaml has the same.
ruff check
ruff format --check
mypy
exec python -m pytest "$@"
