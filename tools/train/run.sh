#!/bin/sh
# The bundled model, stage by stage, as it was made: sh run.sh DATA RUNS
# Finished stages are skipped, an interrupted stage goes on from its last state file: start it again after a stop.
# TRY=1 runs the same stages on the CPU with two steps each on a few photos, in minutes: it proves the chain, not the model.
set -eu
data=$1
runs=$2
mkdir -p "$runs"
if [ -n "${TRY:-}" ]; then
  few="--device cpu --limit 256" steps_lm=2 steps=2 steps_critic=2 seconds=20
  lm_more="--device cpu --batch 8" tower_more="$few --photos 4 --objects 2"
  caption_more="$few --photos 4 --objects 2 --asks 4 --every 1" critic_more="$few --photos 2 --samples 2 --every 1"
else
  few="" steps_lm=500 steps=900 steps_critic=150 seconds=780
  lm_more="" tower_more="" caption_more="" critic_more=""
fi

stage() { # stage OUTPUT command...: runs the command unless OUTPUT.done exists
  name=$1
  shift
  if [ -e "$runs/$name.done" ]; then return; fi
  echo "$name: see $runs/$name.log"
  "$@" >>"$runs/$name.log" 2>&1
  touch "$runs/$name.done"
}

stage lm python3 lm.py --data "$data" --out "$runs/lm.pt" --steps $steps_lm $lm_more
# From nothing the tower needs 780 s; with a finished tower in DATA this stage is skipped.
tower=$data/tower.safetensors
if [ ! -e "$tower" ]; then
  stage tower python3 distill.py --data "$data" --out "$runs/tower.pt" --seconds $seconds $tower_more
  tower=$runs/tower.pt
fi
stage captioner python3 caption.py --data "$data" --out "$runs/captioner.pt" --init "$tower" "$runs/lm.pt" \
  --steps $steps --feature-weight 0.5 $caption_more
stage critic1 python3 scst.py --data "$data" --out "$runs/critic1.pt" --init "$runs/captioner.pt" \
  --steps $steps_critic --peak 1e-4 $critic_more
stage critic2 python3 scst.py --data "$data" --out "$runs/critic2.pt" --init "$runs/captioner.pt" \
  --steps $steps_critic --peak 5e-5 --vision-scale 0.5 --plain-weight 0.15 $critic_more
stage mean python3 average.py --models "$runs/critic1.pt" "$runs/critic2.pt" --out "$runs/mean.pt"
python3 evaluate.py --data "$data" --model "$runs/mean.pt" --out "$runs/eval.json" $few
python3 export.py --model "$runs/mean.pt" --tokenizer "$data/tokenizer.json" --out "$runs/checkpoint"
