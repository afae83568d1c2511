#!/bin/sh
# The bundled model, stage by stage, as it was made: sh run.sh DATA RUNS
# Finished stages are skipped, an interrupted stage goes on from its last state file: start it again after a stop.
set -eu
data=$1
runs=$2
mkdir -p "$runs"

stage() { # stage OUTPUT command...: runs the command unless OUTPUT.done exists
  name=$1
  shift
  if [ -e "$runs/$name.done" ]; then return; fi
  echo "$name: see $runs/$name.log"
  "$@" >>"$runs/$name.log" 2>&1
  touch "$runs/$name.done"
}

stage lm python3 lm.py --data "$data" --out "$runs/lm.pt" --steps 500
# From nothing the tower needs 780 s; with a finished tower in DATA this stage is skipped.
tower=$data/tower.safetensors
if [ ! -e "$tower" ]; then
  stage tower python3 distill.py --data "$data" --out "$runs/tower.pt" --seconds 780
  tower=$runs/tower.pt
fi
stage captioner python3 caption.py --data "$data" --out "$runs/captioner.pt" --init "$tower" "$runs/lm.pt" \
  --steps 900 --feature-weight 0.5
stage critic1 python3 scst.py --data "$data" --out "$runs/critic1.pt" --init "$runs/captioner.pt" \
  --steps 150 --peak 1e-4
stage critic2 python3 scst.py --data "$data" --out "$runs/critic2.pt" --init "$runs/captioner.pt" \
  --steps 150 --peak 5e-5 --vision-scale 0.5 --plain-weight 0.15
stage mean python3 average.py --models "$runs/critic1.pt" "$runs/critic2.pt" --out "$runs/mean.pt"
python3 evaluate.py --data "$data" --model "$runs/mean.pt" --out "$runs/eval.json"
python3 export.py --model "$runs/mean.pt" --tokenizer "$data/tokenizer.json" --out "$runs/checkpoint"
