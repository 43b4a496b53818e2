#!/bin/bash
# Merges what the tasks of an array found into one database. For Flux.
# Edit: the lines "# flux:", "What to run" and "With what"; take the # from
# options that you want. Then:
#     mkdir -p hpc/logs && flux batch --dependency=afterany:JOBID merge.sh
# with as many of these dependencies as the array has jobs.
#
# flux: --job-name=exp-merge
# flux: --nslots=1
# flux: --time-limit=120m
# flux: --output=hpc/logs/exp-merge-{{id}}.out
# flux: # --queue=NAME
# flux: # --bank=NAME

# ---- What to run ----------------------------------------------------------------
database=experiments/experiments.db
shares=8 # as many as the array has tasks

# ---- With what ------------------------------------------------------------------
#module load ... || exit 3
python="$HOME/venv/bin/python"
PATH="$(dirname -- "$python"):$PATH" # its own mpiexec comes first
export OMP_NUM_THREADS=1 # as many threads as a rank has cores; also:
#export OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMEXPR_NUM_THREADS=1
#export PYTHONNOUSERSITE=1 # nothing from ~/.local, unless it is meant

# ---- Merge: what is there already is left alone, so it may be run again -------------
parts=()
left_over=() # of an array with another number of tasks
for part in "$database".parts/*.db; do
    number=$(basename -- "$part" .db)
    if [ -s "$part" ]; then
        parts+=("$part")
        [ "$number" -le "$shares" ] 2>/dev/null || left_over+=("$part")
    elif [ -e "$part" ]; then
        echo "job script: $part is empty; its task ended before it began"
    fi
done
if [ "${#parts[@]}" -eq 0 ]; then
    echo "job script: the tasks left no database in $database.parts"
    exit 3
fi
if [ "${#left_over[@]}" -gt 0 ]; then
    echo "job script: the array has $shares tasks; these parts are left over from one" \
        "with more, and are merged, too: ${left_over[*]}"
fi
"$python" -m experimenter_mpi merge "$database" "${parts[@]}" || exit
"$python" -m experimenter_mpi status "$database" || exit
if "$python" -m experimenter_mpi status "$database" --json |
    grep -qE '^    "(pending|running)": [1-9]'; then
    echo "job script: trials are pending; submit the array again, then this"
    exit 75
fi
exit 0
