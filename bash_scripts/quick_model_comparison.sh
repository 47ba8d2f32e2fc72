#!/usr/bin/env bash
# Runs scripts/model_comparison.py: with a hosted judge if OPENAI_API_KEY is set, else with embedded
# models and an embedded judge. Writes to model_comparison_results/ in the current directory. Passes
# further flags on:
#
#     bash bash_scripts/quick_model_comparison.sh
#     bash bash_scripts/quick_model_comparison.sh --num-samples 10 --seed 7
set -euo pipefail

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
python="$root/.venv/bin/python"
[[ -x "$python" ]] || python=python3

if ! "$python" -c "import bakeoff" 2>/dev/null; then
    echo "bakeoff is not installed for $python: run 'make demo' in $root first" >&2
    exit 2
fi

flags=(--output-dir model_comparison_results)
if [[ -n "${OPENAI_API_KEY:-}" ]]; then
    echo "OPENAI_API_KEY is set: the guide's two models, judged by gpt-4" >&2
else
    echo "OPENAI_API_KEY is not set: two small embedded models and a small embedded judge" >&2
    flags+=(
        --model1 embedded:smollm2 --model2 embedded:gemma3-270m
        --judge-model embedded:qwen2.5-coder-0.5b
        --dataset starter --num-samples 24 --max-tokens 96
    )
fi
exec "$python" "$root/scripts/model_comparison.py" "${flags[@]}" "$@"
