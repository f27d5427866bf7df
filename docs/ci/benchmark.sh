#!/bin/sh
# For any continuous integration: tests a change, compares it with what it is based on, and leaves
# what there is to publish in a folder.
#
#   docs/ci/benchmark.sh BASE FOLDER [arguments of ./dev bench compare ...]
#
# BASE is a revision, such as the branch that the change goes into. FOLDER gets compare.md for a
# summary or comment, index.html and chart.svg, and base.json and head.json, which other tools read.
# Exit status: 0, also where there was no verdict (noise, or HEAD does not build); with STRICT=1 that
# is 2; 1 if a test failed or HEAD is slower; 2 if an argument is missing or HEAD has no commit in
# common with BASE. SKIP_TESTS=1 where another job runs the tests.
set -eu

give_up() {
  echo "benchmark.sh: $1" >&2
  exit 2
}

[ $# -ge 2 ] || give_up "a base revision and a folder for the results are needed"
base=$1
out=$2
shift 2
mkdir -p "$out" || give_up "cannot write to $out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/../.."
# Of an earlier run.
for name in compare.md compare.txt index.html chart.svg base.json head.json; do
  rm -f "$out/$name"
done

[ "${SKIP_TESTS:-0}" = 1 ] || ./dev test </dev/null || exit 1

# What the base branch has gained since must not count for or against the change.
fork=$(git merge-base "$base" HEAD) || {
  reason="HEAD and $base have no commit in common here; a shallow clone has to fetch its history"
  echo "Could not judge: $reason." >"$out/compare.md"
  give_up "$reason"
}
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

[ "$status" != 2 ] || [ "${STRICT:-0}" = 1 ] || exit 0
exit "$status"
