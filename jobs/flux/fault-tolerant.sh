#!/bin/bash
# Runs exp.py on 64 ranks of Open MPI, and goes on when ranks die. For Flux.
# Edit: the lines "# flux:", "What to run" and "With what"; take the # from
# options that you want. Then:
#     mkdir -p hpc/logs && flux batch fault-tolerant.sh
#
# flux: --job-name=exp
# flux: --nslots=64
# flux: --time-limit=120m
# flux: --output=hpc/logs/exp-{{id}}.out
# flux: # --queue=NAME
# flux: # --bank=NAME

# ---- What to run ----------------------------------------------------------------
script=exp.py
database=experiments/experiments.db
# The time limit is the walltime above less 120 s.
options=(--time-limit 01:58:00) # of `run`; more: --grace 2:00 --isolate
ranks=64 # as --nslots above

# ---- With what ------------------------------------------------------------------
#module load ... || exit 3
python="$HOME/venv/bin/python"
PATH="$(dirname -- "$python"):$PATH" # its own mpiexec comes first
export OMP_NUM_THREADS=1 # as many threads as a rank has cores; also:
#export OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMEXPR_NUM_THREADS=1
exec </dev/null
set -m # a process group for the launcher: `flux cancel` hangs up this one's
#export PYTHONNOUSERSITE=1 # nothing from ~/.local, unless it is meant

# Optional, on one node: read Python from its own disk. Once, where it is now:
#     tar -C "$HOME/venv" -czf "$HOME/venv.tar.gz" .
#near=$(mktemp -d "${TMPDIR:-${TMP:-/tmp}}/venv-XXXXXX") || exit 3
#trap 'rm -rf "$near"' EXIT
#tar -C "$near" -xzf "$HOME/venv.tar.gz" || exit 3
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
launch() { # Open MPI
    trap '' USR1 USR2 # until they are heeded; some launchers end of USR2
    exec mpiexec --with-ft ulfm --bind-to none -n "$ranks" "$@"
}

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
