"""What every job script does after its directives: pieces of bash, nothing to fill in.

What differs from job to job stands in variables that ``script_settings`` sets before:
``script``, ``database``, ``options``, ``python``, ``ranks``, and for a chain of runs
``logs``, ``chain``, ``max_runs``, ``job_script`` and ``submitted_in``. Bash 4.2 must
run all of this, so there is no ``set -u``: it would not know an empty array.
"""

from __future__ import annotations

# Whatever asks this job to stop is passed on to the launcher, and by it to the ranks.
_SIGNALS = r"""
# ---- Run, and pass on what the scheduler says -------------------------------------
launcher=
pass_on() { # to the launcher, which tells the ranks: no new trials, exit code 75
    heard=$1
    [ -z "$launcher" ] || kill -s "$1" "$launcher"
}
trap 'pass_on USR1' USR1 USR2                 # the end of the walltime comes near
trap 'cancelled=1; pass_on TERM' TERM INT HUP # somebody, or the scheduler, ends it
"""

# A signal interrupts `wait`, which is then asked again: bash keeps the launcher's exit
# code for it.
_LAUNCHING = r"""
code=75
if [ -z "$heard" ]; then
    launch "$python" -m experimenter_mpi run "$script" --db "$database" \
        "${options[@]}" &
    launcher=$!
    [ -z "$heard" ] || kill -s "$heard" "$launcher" # which it heard just before
    while heard=; wait "$launcher"; code=$?; [ -n "$heard" ]; do :; done
fi
"""

_PROGRESS = r"""
# What is done so far, as numbers that grow; nothing while there is nothing.
progress() {
    "$python" -m experimenter_mpi status "$database" --json 2>/dev/null |
        grep -E '^    "(finished|failed|last_snapshot)": [1-9]' | tr -d ' \n'
}
before=$(progress)
[ -z "$cancelled" ] || exit 143 # before anything was launched
"""

PLAIN = f"{_SIGNALS}{_LAUNCHING}"
FORWARDING = f"{_SIGNALS}{_PROGRESS}{_LAUNCHING[1:]}"

FINISHING = r"""
exit "$code"
"""

# The chain must end by itself: on every exit code but 75, after max_runs, when two runs
# in a row did nothing, and when it cannot keep count. So the script goes on only where
# a test says yes: one that fails for another reason must not count as a no.
DECIDING = r"""
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
"""

# Before the first of its runs, not after: nobody looks at the log of a night's end.
SUCCESSOR = r"""
(cd -- "$submitted_in" && [ -f "$job_script" ]) || {
    echo "job script: no $job_script in $submitted_in, to be submitted again: say in" \
        "job_script what this file is called"
    exit 3
}
"""

# What is only proposed: a command right after `#`, to be had by taking that away.
STAGED_PYTHON = r"""
# Optional, on one node: read Python from its own disk. Once, where it is now:
#     tar -C "$HOME/venv" -czf "$HOME/venv.tar.gz" .
#near=$(mktemp -d "${TMPDIR:-${TMP:-/tmp}}/venv-XXXXXX") || exit 3
#trap 'rm -rf "$near"' EXIT
#tar -C "$near" -xzf "$HOME/venv.tar.gz" || exit 3
#python=$near/bin/python
#PATH=$near/bin:$PATH
"""

# Arrays first, and the database under its name only when it is whole: whoever reads
# meanwhile sees the old one, and a copy that is cut short harms nothing.
STAGED_DATABASE = r"""
# Optional: keep the database on this node's own disk while the job runs. What a job
# that is killed has not copied back is lost: leave it time (--grace, --time-limit).
#shared=$database
#scratch=$(mktemp -d "${TMPDIR:-${TMP:-/tmp}}/database-XXXXXX") || exit 3
#database=$scratch/$(basename -- "$shared")
#[ ! -e "$shared" ] || cp -- "$shared" "$database" || exit 3
#[ ! -L "$shared.arrays" ] || [ -d "$shared.arrays" ] || exit 3
#[ ! -d "$shared.arrays" ] || cp -RH -- "$shared.arrays" "$database.arrays" || exit 3
"""
COPY_BACK = r"""
# With the database on this node's own disk: copy it back, its arrays first.
#[ -e "$database" ] || exit "$code"
#mkdir -p -- "$(dirname -- "$shared")" || exit 3
#[ ! -d "$database.arrays" ] || mkdir -p -- "$shared.arrays" || exit 3
#[ ! -d "$database.arrays" ] || cp -R -- "$database.arrays/." "$shared.arrays" || exit 3
#cp -- "$database" "$shared.new" || exit 3
#mv -- "$shared.new" "$shared" || exit 3
"""

MERGING = r"""
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
"""
