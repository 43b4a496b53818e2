#!/bin/bash
# Merges what the tasks of an array found into one database. For PBS.
# Edit: the lines "#PBS", "What to run" and "With what"; take the # from
# options that you want. Then:
#     mkdir -p hpc/logs && qsub -W depend=afterany:JOBID merge.sh
#
#PBS -N exp-merge
#PBS -l select=1:ncpus=1:mpiprocs=1
#PBS -l place=free
#PBS -l walltime=02:00:00
#PBS -j oe
#PBS -k oed
#PBS -o hpc/logs/
##PBS -q NAME
##PBS -A NAME

# ---- What to run ----------------------------------------------------------------
cd -- "$PBS_O_WORKDIR" || exit 3
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
