#!/bin/sh
# fuzz-one.sh TARGET SECONDS SEED - runs a libFuzzer program on its corpus, then for so long (seed 0: another way each
# time); what it finds goes to fuzz-found/X in the build directory. make fuzz calls it for every target.
target=$1 x=${1##*/fuzz_}
found=fuzz-found/$x
mkdir -p "$found"
if "./$target" -max_total_time="$2" -seed="$3" -print_final_stats=1 -artifact_prefix="$found/" "$found" \
  "${srcdir:-.}/tests/corpus/$x" >"$found.log" 2>&1; then
  echo "ok: $target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$found.log") inputs in $2 s"
else
  tail -n 60 "$found.log"
  echo "FAILED: $target (what it found is in $found/)"
  exit 1
fi
