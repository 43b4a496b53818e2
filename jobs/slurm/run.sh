#!/bin/bash
# Runs exp.py on 64 ranks. Submitted again, it goes on where it was. For Slurm.
# Edit: the lines "#SBATCH", "What to run" and "With what"; take the # from
# options that you want. Then:
#     mkdir -p hpc/logs && sbatch run.sh
#
#SBATCH --job-name=exp
#SBATCH --ntasks=64
#SBATCH --time=02:00:00
#SBATCH --output=hpc/logs/%x-%j.out
##SBATCH --partition=NAME
##SBATCH --account=NAME
##SBATCH --mem-per-cpu=2G

# ---- What to run ----------------------------------------------------------------
[ -n "$SLURM_JOB_ID" ] || {
    echo "job script: this is no job of Slurm: submit it"
    exit 3
}
cd -- "$SLURM_SUBMIT_DIR" || exit 3
script=exp.py
database=experiments/experiments.db
# The time limit is the walltime above less 120 s.
options=(--time-limit 01:58:00) # of `run`; more: --grace 2:00 --isolate
ranks=$SLURM_NTASKS

# ---- With what ------------------------------------------------------------------
#module load ... || exit 3
python="$HOME/venv/bin/python"
PATH="$(dirname -- "$python"):$PATH" # its own mpiexec comes first
export OMP_NUM_THREADS=1 # as many threads as a rank has cores; also:
#export OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMEXPR_NUM_THREADS=1
#export PYTHONNOUSERSITE=1 # nothing from ~/.local, unless it is meant

# Optional: read Python from each node's own disk. Once, where it is now:
#     tar -C "$HOME/venv" -czf "$HOME/venv.tar.gz" .
#near=/tmp/venv-$SLURM_JOB_ID
#on_each_node() { srun --ntasks="$SLURM_NNODES" --ntasks-per-node=1 "$@"; }
#sbcast --force "$HOME/venv.tar.gz" "$near.tar.gz" || exit 3
#on_each_node mkdir -p "$near" || exit 3
#on_each_node tar -C "$near" -xzf "$near.tar.gz" || exit 3
#trap 'on_each_node rm -rf "$near" "$near.tar.gz"' EXIT
#python=$near/bin/python
#PATH=$near/bin:$PATH

# Optional: keep the database on this node's own disk while the job runs. What a job
# that is killed has not copied back is lost: leave it time (--grace, --time-limit).
#shared=$database
#scratch=$(mktemp -d "${TMPDIR:-${TMP:-/tmp}}/database-XXXXXX") || exit 3
#database=$scratch/$(basename -- "$shared")
#[ ! -e "$shared" ] || cp -- "$shared" "$database" || exit 3
#[ ! -L "$shared.arrays" ] || [ -d "$shared.arrays" ] || exit 3
#[ ! -d "$shared.arrays" ] || cp -RH -- "$shared.arrays" "$database.arrays" || exit 3

# ---- Launch ---------------------------------------------------------------------
launch() { # MPICH
    trap '' USR1 USR2 # until they are heeded; some launchers end of USR2
    exec mpiexec -n "$ranks" "$@"
}
# Instead of that line, if your MPI is another:
#     exec srun --mpi=pmi2 -n "$ranks" "$@" # MPICH
#     exec srun --mpi=pmix -n "$ranks" "$@" # Open MPI
#     exec mpiexec --bind-to none -n "$ranks" "$@" # Open MPI
#     exec mpiexec -n "$ranks" "$@" # Intel MPI, Cray MPICH
#     exec srun --mpi=cray_shasta -n "$ranks" "$@" # Cray MPICH

# ---- Run, and pass on what the scheduler says -------------------------------------
launcher=
pass_on() { # to the launcher, which tells the ranks: no new trials, exit code 75
    heard=$1
    [ -z "$launcher" ] || kill -s "$1" "$launcher"
}
trap 'pass_on USR1' USR1 USR2                 # the end of the walltime comes near
trap 'cancelled=1; pass_on TERM' TERM INT HUP # somebody, or the scheduler, ends it

code=75
if [ -z "$heard" ]; then
    launch "$python" -m experimenter_mpi run "$script" --db "$database" \
        "${options[@]}" &
    launcher=$!
    [ -z "$heard" ] || kill -s "$heard" "$launcher" # which it heard just before
    while heard=; wait "$launcher"; code=$?; [ -n "$heard" ]; do :; done
fi

# With the database on this node's own disk: copy it back, its arrays first.
#[ -e "$database" ] || exit "$code"
#mkdir -p -- "$(dirname -- "$shared")" || exit 3
#[ ! -d "$database.arrays" ] || mkdir -p -- "$shared.arrays" || exit 3
#[ ! -d "$database.arrays" ] || cp -R -- "$database.arrays/." "$shared.arrays" || exit 3
#cp -- "$database" "$shared.new" || exit 3
#mv -- "$shared.new" "$shared" || exit 3

exit "$code"
