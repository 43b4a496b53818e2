#!/bin/bash
# Runs exp.py on 64 ranks, again after each walltime till all is done. For Slurm.
# Edit: the lines "#SBATCH", "What to run" and "With what"; take the # from
# options that you want. Then:
#     mkdir -p hpc/logs && sbatch resume.sh
#
#SBATCH --job-name=exp
#SBATCH --ntasks=64
#SBATCH --time=02:00:00
#SBATCH --output=hpc/logs/%x-%j.out
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
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
options=() # of `run`; more: --grace 2:00 --isolate
ranks=$SLURM_NTASKS
logs=hpc/logs
mkdir -p -- "$logs" || exit 3
chain="$SLURM_JOB_NAME-$SLURM_JOB_ID"
max_runs=20 # no job goes on for ever

# ---- With what ------------------------------------------------------------------
#module load ...
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
trap 'pass_on USR1' USR1 USR2             # the end of the walltime comes near
trap 'cancelled=1; pass_on TERM' TERM INT # somebody, or the scheduler, ends this job

# What is done so far, as numbers that grow; nothing while there is nothing.
progress() {
    "$python" -m experimenter_mpi status "$database" --json 2>/dev/null |
        grep -E '^    "(finished|failed|last_snapshot)": [1-9]' | tr -d ' \n'
}
before=$(progress)
[ -z "$cancelled" ] || exit 143 # before anything was launched
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

# ---- Once more, or not ------------------------------------------------------------
echo "job script: exit code $code"
[ "$code" -eq 75 ] || exit "$code" # 0: all is finished; 1, 2, 3: look into it
[ -z "$cancelled" ] || exit 143

done_by_now=$(progress)
moved=yes
[ "$done_by_now" != "$before" ] || moved=no
runs="$logs/$chain.runs" # a line for each run of this chain
echo "exit code $code, progress: $moved, $done_by_now" >>"$runs" || exit 3
if ! [ "$(grep -c '' <"$runs")" -lt "$max_runs" ]; then
    echo "job script: work is left after $max_runs runs (max_runs); submit it again"
    exit 3
fi
if ! [ "$(tail -n 2 <"$runs" | grep -c 'progress: no')" -lt 2 ]; then
    echo "job script: two runs finished no trial and saved no snapshot; give them" \
        "more time, or have trials save snapshots"
    exit 3
fi

# The same job goes back into the queue, unless it is being cancelled. One task of an
# array bears the number of the whole: it must be named as a task.
id=$SLURM_JOB_ID
[ -z "$SLURM_ARRAY_TASK_ID" ] || id=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
state=$(squeue --noheader --jobs "$id" --format %T)
if [ "$state" != RUNNING ]; then
    echo "job script: work is left, but this job is ${state:-unknown to squeue}, so" \
        "it is not requeued; submit it again"
    exit 143
fi
scontrol requeue "$id"
exit 75
