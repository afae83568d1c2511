#!/bin/sh
# The captioner, stage by stage: sh run.sh DATA RUNS. Finished stages are skipped: start it again after a stop.
# TRY=1 runs the same stages on the CPU with one step each on a few photos: it proves the chain, not the model.
set -eu
data=$1
runs=$2
mkdir -p "$runs"
if [ -n "${TRY:-}" ]; then
  device="--device cpu" few="--limit 12" tiny="--steps 1 --device cpu"
  lm="--batch 4" caption="--photos 2 2 1 4" critic="--photos 2 2 --samples 2 --plain-photos 2 2 1 4" project="--photos 2"
else
  device="" few="" tiny="" lm="" caption="" critic="" project=""
fi

stage() { # stage NAME command...: runs the command unless NAME.done exists
  name=$1
  shift
  if [ -e "$runs/$name.done" ]; then return; fi
  echo "$name: see $runs/$name.log"
  "$@" >"$runs/$name.log" 2>&1
  touch "$runs/$name.done"
}

stage photos python3 photos.py "$data" $few
stage labels python3 labels.py "$data" $device
if [ -e "$data/start.safetensors" ]; then
  stage start python3 project.py --data "$data" --old "$data/start.safetensors" --out "$runs/start.pt" --steps 700 $project $tiny
else
  stage lm python3 lm.py --data "$data" --out "$runs/lm.pt" --steps 700 $lm $tiny
  stage start python3 caption.py --data "$data" --out "$runs/start.pt" --init "$data/tower.pt" "$runs/lm.pt" \
    --steps 350 --every 175 --seed 20 $caption $tiny
fi
for seed in 51 52; do
  stage captions$seed python3 caption.py --data "$data" --out "$runs/captions$seed.pt" --init "$runs/start.pt" \
    --fixed 7 --steps 330 --peak 4e-4 --warmup 40 --every 1000 --seed $seed $caption $tiny
done
stage captions python3 average.py --data "$data" --models "$runs/captions51.pt" "$runs/captions52.pt" \
  --out "$runs/captions.pt" $device
critics=""
for run in "61 7" "62 7" "63 21"; do
  seed=${run% *}
  stage critic$seed python3 scst.py --data "$data" --out "$runs/critic$seed.pt" --init "$runs/captions.pt" \
    --fixed "${run#* }" --steps 200 --seconds 125 --every 1000 --seed $seed $critic $tiny
  critics="$critics $runs/critic$seed.pt"
done
stage mean python3 average.py --data "$data" --models $critics --out "$runs/mean.pt" $device
python3 export.py --model "$runs/mean.pt" --tokenizer "$data/tokenizer.json" --out "$runs/checkpoint"
