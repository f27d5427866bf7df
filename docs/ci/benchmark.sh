#!/bin/sh
# For any continuous integration: tests a change, compares it with what it is based on, and leaves
# what there is to publish in a folder.
#
#   docs/ci/benchmark.sh BASE FOLDER [arguments of ./dev bench compare ...]
#
# BASE is a revision, such as the branch that the change goes into. FOLDER gets compare.md for a
# summary or comment, index.html and chart.svg, and base.json and head.json, which other tools read.
# Exit status: 0, also where the machine was too noisy to judge, unless STRICT=1; 1 if a test failed
# or HEAD is slower. SKIP_TESTS=1 where another job runs the tests.
set -eu
base=${1:?"a base revision is needed"}
out=${2:?"a folder for the results is needed"}
shift 2
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/../.."
# Of an earlier run.
for name in compare.md compare.txt index.html chart.svg base.json head.json; do
  rm -f "$out/$name"
done

[ "${SKIP_TESTS:-0}" = 1 ] || ./dev test </dev/null

# What the base branch has gained since must not count for or against the change.
fork=$(git merge-base "$base" HEAD)
status=0
./dev bench compare "$fork" HEAD "$@" --results "$out" --markdown "$out/compare.md" \
  >"$out/compare.txt" || status=$?
cat "$out/compare.txt"
# Also where it could not even be measured.
[ -s "$out/compare.md" ] || head -n 1 "$out/compare.txt" >"$out/compare.md"

if [ -s "$out/head.json" ]; then
  ./dev bench report "$out/head.json" --title "Benchmarks of $(git rev-parse --short HEAD)" \
    --html "$out/index.html" --svg "$out/chart.svg" || true
fi

case $status in
  0) exit 0 ;;
  2) [ "${STRICT:-0}" != 1 ] ;;
  *) exit "$status" ;;
esac
