#!/bin/bash
# Runs exp.py on 64 ranks, again after each walltime till all is done. For PBS.
# Edit: the lines "#PBS", "What to run" and "With what"; take the # from
# options that you want. Then:
#     mkdir -p hpc/logs && qsub resume.sh
#
#PBS -N exp
#PBS -l select=64:ncpus=1:mpiprocs=1
#PBS -l place=free
#PBS -l walltime=02:00:00
#PBS -j oe
#PBS -k oed
#PBS -o hpc/logs/
#PBS -r y
##PBS -q NAME
##PBS -A NAME

# ---- What to run ----------------------------------------------------------------
[ -n "$PBS_JOBID" ] || {
    echo "job script: this is no job of PBS: submit it"
    exit 3
}
# PBS signals the shell that runs this script, too: it would end, and the job with it.
# So that shell stands still until the script has ended.
pbs_mom=$(ps -o comm= -p "$(ps -o ppid= -p "$PPID" | tr -d ' ')" 2>/dev/null)
if [ "$pbs_mom" = pbs_mom ] && [ "$1" != "--below" ] && kill -s STOP "$PPID"; then
    trap : USR1 USR2 TERM INT HUP # this copy only waits for the next
    "$BASH" "$0" --below
    code=$?
    kill -s CONT "$PPID"
    exit "$code"
fi
submitted_in="$PBS_O_WORKDIR"
cd -- "$PBS_O_WORKDIR" || exit 3
script=exp.py
database=experiments/experiments.db
# The time limit is the walltime above less 120 s.
options=(--time-limit 01:58:00) # of `run`; more: --grace 2:00 --isolate
ranks=$(grep -c "" "$PBS_NODEFILE")
logs=hpc/logs
mkdir -p -- "$logs" || exit 3
chain="${EXPERIMENTER_CHAIN:-$PBS_JOBNAME-$PBS_JOBID}"
max_runs=20 # no job goes on for ever
job_script=resume.sh # this file, seen from where it is submitted
(cd -- "$submitted_in" && [ -f "$job_script" ]) || {
    echo "job script: no $job_script in $submitted_in, to be submitted again: say in" \
        "job_script what this file is called"
    exit 3
}

# ---- With what ------------------------------------------------------------------
#module load ... || exit 3
python="$HOME/venv/bin/python"
PATH="$(dirname -- "$python"):$PATH" # its own mpiexec comes first
export OMP_NUM_THREADS=1 # as many threads as a rank has cores; also:
#export OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMEXPR_NUM_THREADS=1
#export PYTHONNOUSERSITE=1 # nothing from ~/.local, unless it is meant
for needed in qsub qstat; do # or this job could not run again
    command -v "$needed" >/dev/null && continue
    echo "job script: there is no $needed on $HOSTNAME, so the job could" \
        "not run again: put its folder on PATH, or leave --resume out"
    exit 3
done

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
launch() { # MPICH
    trap '' USR1 USR2 # until they are heeded; some launchers end of USR2
    exec mpiexec -n "$ranks" "$@"
}
# Instead of that line, if your MPI is another:
#     exec mpiexec --bind-to none -n "$ranks" "$@" # Open MPI
#     exec mpiexec -n "$ranks" "$@" # Intel MPI, Cray MPICH

# ---- Run, and pass on what the scheduler says -------------------------------------
launcher=
pass_on() { # to the launcher, which tells the ranks: no new trials, exit code 75
    heard=$1
    [ -z "$launcher" ] || kill -s "$1" "$launcher"
}
trap 'pass_on USR1' USR1 USR2                 # the end of the walltime comes near
trap 'cancelled=1; pass_on TERM' TERM INT HUP # somebody, or the scheduler, ends it

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
runs="$logs/$chain.runs" # a line for each run of this chain, and why it ended
end() { # with an exit code, and say why
    echo "job script: $2"
    echo "ended: $2" >>"$runs"
    exit "$1"
}
insist() { # on a command that a busy scheduler may refuse, for some minutes
    for pause in 5 15 30 60 60 60 60; do
        "$@" && return
        echo "job script: '$1' failed; trying it again in $pause s" >&2
        sleep "$pause"
        [ -z "$cancelled" ] || return 1
    done
    "$@"
}
echo "job script: exit code $code"
case $code in
75) ;;
0) end 0 "all trials are finished" ;;
1) end 1 "trials failed; 'experimenter-mpi status $database NAME' says which" ;;
*) end "$code" "exit code $code; the lines above say why" ;;
esac
[ -z "$cancelled" ] || end 143 "the job was cancelled; submit it again to go on"

done_by_now=$(progress)
moved=yes
[ "$done_by_now" != "$before" ] || moved=no
echo "exit code $code, progress: $moved, $done_by_now" >>"$runs" || exit 3
if ! [ "$(grep -c '^exit code' <"$runs")" -lt "$max_runs" ]; then
    end 3 "work is left after $max_runs runs (max_runs); submit it again"
fi
last_two=$(grep '^exit code' <"$runs" | tail -n 2)
if ! [ "$(echo "$last_two" | grep -c 'progress: no')" -lt 2 ]; then
    end 3 "two runs finished no trial and saved no snapshot; give them more time, or \
have trials save snapshots"
fi

# PBS lets only operators requeue a job, so this one submits its successor, with the
# options and variables that it was submitted with itself.
export EXPERIMENTER_CHAIN=$chain
insist "$python" -m experimenter_mpi.cluster.successor pbs "$submitted_in" \
    "$job_script" "${shared:-$database}" ||
    end 3 "work is left, but qsub refuses; submit $job_script again"
exit 0
