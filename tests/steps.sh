# shellcheck shell=sh
# Sourced by deps.sh and machines.sh: what they say. ME is who speaks; all but
# that goes to $LOG, which they empty when they start.

say() { echo "$ME: $*"; }

fail() {
	echo "$ME: $*" >&2
	exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# step WHAT COMMAND...: one line for the user; if it fails, the likely cause, and the end.
step() {
	say "$1"
	step_what=$1
	shift
	echo "=== $step_what: $*" >>"$LOG"
	"$@" >>"$LOG" 2>&1 </dev/null && return
	cause=$(grep -E '^E: |error: |\*\*\* |[Cc]annot |not found' "$LOG" | tail -n 1)
	fail "$step_what failed: ${cause:-$(tail -n 1 "$LOG")} (everything is in $LOG)"
}
