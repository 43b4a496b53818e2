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

# ---- With what ------------------------------------------------------------------
#module load ... || exit 3
python="$HOME/venv/bin/python"
PATH="$(dirname -- "$python"):$PATH" # its own mpiexec comes first
export OMP_NUM_THREADS=1 # as many threads as a rank has cores; also:
#export OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMEXPR_NUM_THREADS=1
#export PYTHONNOUSERSITE=1 # nothing from ~/.local, unless it is meant

# ---- Merge: what is there already is left alone, so it may be run again -------------
parts=()
for part in "$database".parts/*.db; do
    if [ -s "$part" ]; then
        parts+=("$part")
    elif [ -e "$part" ]; then
        echo "job script: $part is empty; its task ended before it began"
    fi
done
if [ "${#parts[@]}" -eq 0 ]; then
    echo "job script: the tasks left no database in $database.parts"
    exit 3
fi
"$python" -m experimenter_mpi merge "$database" "${parts[@]}"
code=$?
"$python" -m experimenter_mpi status "$database"
exit "$code"
