#!/bin/bash
# Merges what the tasks of an array found into one database. For Slurm.
# Edit: the lines "#SBATCH", "What to run" and "With what"; take the # from
# options that you want. Then:
#     mkdir -p hpc/logs && sbatch --dependency=afterany:JOBID merge.sh
#
#SBATCH --job-name=exp-merge
#SBATCH --ntasks=1
#SBATCH --time=02:00:00
#SBATCH --output=hpc/logs/%x-%j.out
##SBATCH --partition=NAME
##SBATCH --account=NAME
##SBATCH --mem-per-cpu=2G

# ---- What to run ----------------------------------------------------------------
cd -- "$SLURM_SUBMIT_DIR" || exit 3
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
