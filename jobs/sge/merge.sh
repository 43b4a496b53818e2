#!/bin/bash
# Merges what the tasks of an array found into one database. For Grid Engine.
# Edit: the lines "#$", "What to run" and "With what"; take the # from
# options that you want. Then:
#     mkdir -p hpc/logs && qsub -hold_jid JOBID merge.sh
#
#$ -S /bin/bash
#$ -cwd
#$ -N exp-merge
#$ -pe mpi 1
#$ -l h_rt=02:00:00
#$ -j y
#$ -o hpc/logs/$JOB_NAME-$JOB_ID.out
##$ -q NAME
##$ -P NAME
##$ -l h_vmem=2G

# ---- What to run ----------------------------------------------------------------
cd -- "$SGE_O_WORKDIR" || exit 3
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
