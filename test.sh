#!/bin/sh
# ./test.sh [-x EMULATOR] [GROUP ...]
#
# Runs the groups (all by default) and reports in TAP; the last line counts.
# A group is a file tests/GROUP.sh, which this script sources.
#
# -x runs the programs under test through an emulator (say, qemu-aarch64).
# Environment: ONLY, an ERE, runs the tests whose names match; BUILD is the build under test ("build"); CC,
# CFLAGS, STATIC, TLS and the like go on to make for its variants; HOSTCC ("cc") compiles the helpers of
# the tests; CI=true makes a missing tool a failure.
#
# ## How to write a group
#
#	use fast qmail-poppass || return 0
#	helper client stub
#
#	test_quit() {
#		exits "client" 0 client ... -- "$P/qmail-poppass" host "$BIN/stub"
#		is "replies" "$(cat "$T/out")" "200 Bye."
#	}
#	it "quit is answered" test_quit
#
# In the group's file:
#	it NAME FUNCTION [ARG ...]	runs a test and prints its line
#	slow NAME FUNCTION [ARG ...]	the same beside other tests: for those that mostly wait
#	use VARIANT [PROGRAM ...]	builds them (qmail-poppass by default) and sets P, the folder
#		that they are in as an absolute path. "real" is $BUILD as it is, "fast" has the small times of
#		variant_fast below; another is named by setting variant_NAME='-DX=1'. Inside a
#		test too, but what slow tests use is to be built by the group.
#	helper NAME ...		compiles tests/NAME.c: the command NAME, by absolute path $BIN/NAME
#
# A test is a function. It runs in a subshell in the top folder; $T is a private, empty
# folder that is removed afterwards. A failed check is recorded and the test goes on;
# a test that checks nothing fails. What it prints is shown only when it fails.
#	is WHAT GOT WANT		equal strings
#	has WHAT TEXT PART		PART is in TEXT, literally; hasnt: it is not
#	like WHAT TEXT ERE		a line of TEXT matches; unlike: none does
#	same WHAT FILE FILE		equal bytes
#	ok WHAT COMMAND ...		succeeds; nok: fails
#	exits WHAT CODE COMMAND ...	exits so, within 30 s; output in $T/out and $T/err
#	between WHAT NUMBER LOW HIGH	whole numbers
#	fail WHAT [MORE]		a failure
#	skip REASON			ends the test as skipped
#	need TOOL ...			skips without them (fails if CI=true); "busybox APPLET" is one argument
#	emulated			true with -x
#	bg COMMAND ...			starts it, pid in $BG; killed with all its offspring when the test ends
#	limit SECONDS COMMAND ...	runs it so long at most, then kills it and its offspring: exit code 124
#	within SECONDS COMMAND ...	repeats it every 50 ms until it succeeds; fails when the time is up
#
# Prepared: LC_ALL=C, umask 022, none of the server's variables set, $BIN and $DEPS/bin first in PATH.

GROUPS_ALL='conversation limits time chains config rhost log superserver backends tls secrets faults bare packaging'
# Not among them: real, real-chains, real-clients, real-webmail (make deps-real), load, handshake (make cross).

# Small, but of different sizes, so that one is not taken for the other.
# shellcheck disable=SC2034 # used by its name
variant_fast='-DFAIL_DELAY=1 -DIDLE_TIMEOUT=3 -DSESSION_TIMEOUT=6 -DCHAIN_TIMEOUT=4 -DKILL_WAIT=1'
variant_fast="$variant_fast -DWRITE_TIMEOUT=2 -DCLOSE_WAIT=1 -DHANDSHAKE_TIMEOUT=2 -DLOCK_TIMEOUT=2"

LIMIT_ALL=1800	# seconds, the whole run
JOBS=6		# slow tests beside each other

usage() {
	echo 'usage: test.sh [-x EMULATOR] [GROUP ...]' >&2
	exit 2
}

EMULATOR=
while getopts x: opt; do
	case $opt in
	x) EMULATOR=$OPTARG ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))

cd "$(dirname "$0")" || exit 2
set -u
export LC_ALL=C
umask 022
unset CERTFILE KEYFILE PASSWORD_COMMAND PROTO REMOTE_ADDR REMOTE_HOST SSLREMOTEIP \
	TCPREMOTEIP TCP6REMOTEIP TCPREMOTEADDR TCPREMOTEHOST
BUILD=${BUILD:-build}
DEPS=${DEPS:-build/deps}
TMP=$(mktemp -d "${TMPDIR:-/tmp}/poppass.XXXXXX") || exit 2
BIN=$TMP/bin
mkdir "$BIN" || exit 2
PATH=$BIN:$(cd "$DEPS/bin" 2>/dev/null && pwd || echo "$BIN"):$PATH
SELF=$$
STARTED=0
REPORTED=0
FAILED=0
SKIPPED=0
BUILT=		# what make was asked for
PENDING=	# slow tests whose lines are not yet printed
RUNNING=	# pids of test subshells
BG_PIDS=
TEST=		# number of the test, inside one
group=start
P=

## Building

# shellcheck disable=SC2086 # HOSTCC and HOSTCFLAGS are words
helper() {
	for h in "$@"; do
		bin=$BUILD/tests/$h
		if [ ! -x "$bin" ] || [ -n "$(find "tests/$h.c" tests/*.h -newer "$bin")" ]; then
			mkdir -p "$BUILD/tests"
			${HOSTCC:-cc} ${HOSTCFLAGS:--O1 -Wall -Wextra} -o "$bin.$SELF" "tests/$h.c" ||
				{ broken "compiling tests/$h.c"; return 1; }
			mv "$bin.$SELF" "$bin"
		fi
		[ -e "$BIN/$h" ] || ln -sf "$(absolute "$bin")" "$BIN/$h"
	done
}

absolute() {
	case $1 in
	/*) echo "$1" ;;
	*) echo "$(pwd)/$1" ;;
	esac
}

# A group or a test cannot go on.
broken() {
	if [ "$TEST" ]; then
		fail "$1"
		exit 1
	fi
	REPORTED=$((REPORTED + 1))
	FAILED=$((FAILED + 1))
	echo "not ok $REPORTED - $group: $1"
	if [ -s "$TMP/make.log" ]; then comment <"$TMP/make.log"; fi
}

# shellcheck disable=SC2086,SC2154 # the flags are words, set by eval
use() {
	v=$1
	shift
	[ $# -gt 0 ] || set -- qmail-poppass
	dir=$BUILD
	if [ "$v" != real ]; then
		dir=$BUILD/$v
		eval "flags=\$variant_$v"
		targets=
		for p in "$@"; do
			case " $BUILT " in *" $dir/$p "*) ;; *) targets="$targets $dir/$p" ;; esac
		done
		[ -z "$targets" ] || "${MAKE:-make}" -s BUILD="$dir" DEPS="$DEPS" CPPFLAGS="${CPPFLAGS-} $flags" \
			$targets >"$TMP/make.log" 2>&1 || { broken "make $targets"; return 1; }
		rm -f "$TMP/make.log"
		BUILT="$BUILT$targets"
	fi
	P=$(absolute "$dir")
	for p in "$@"; do
		[ -x "$P/$p" ] || { broken "no $P/$p: run make first"; return 1; }
	done
	[ -z "$EMULATOR" ] || wrap "$v" "$@"
}

# The chains exec their programs, so an emulated one needs a script in front.
wrap() {
	w=$TMP/emulated/$1
	shift
	mkdir -p "$w"
	for p in "$@"; do
		[ -x "$w/$p" ] && continue
		printf '#!/bin/sh\nexec %s "%s" "$@"\n' "$EMULATOR" "$P/$p" >"$w/$p.$SELF"
		chmod 755 "$w/$p.$SELF"
		mv "$w/$p.$SELF" "$w/$p"
	done
	P=$w
}

emulated() {
	[ "$EMULATOR" ]
}

## Checks

comment() {
	sed 's/^/# /'
}

# Control and 8-bit bytes made visible, each line indented.
show() {
	printf '%s\n' "$1" | sed -n l | sed 's/\$$//; s/^/    /'
}

checked() {
	echo . >>"$TMP/$TEST.checks"
}

fail() {
	checked
	{
		echo "failed: $1"
		[ $# -lt 2 ] || show "$2"
	} >>"$TMP/$TEST.fail"
	return 1
}

is() {
	checked
	[ "$2" = "$3" ] || { fail "$1"; { echo '  got:'; show "$2"; echo '  want:'; show "$3"; } >>"$TMP/$TEST.fail"; }
}

has() {
	checked
	case $2 in
	*"$3"*) ;;
	*) fail "$1: lacks \"$3\"" "$2" ;;
	esac
}

hasnt() {
	checked
	case $2 in
	*"$3"*) fail "$1: has \"$3\"" "$2" ;;
	esac
}

like() {
	checked
	printf '%s\n' "$2" | grep -Eq -e "$3" || fail "$1: no line matches /$3/" "$2"
}

unlike() {
	checked
	! printf '%s\n' "$2" | grep -Eq -e "$3" || fail "$1: a line matches /$3/" "$2"
}

same() {
	checked
	cmp -s "$2" "$3" || fail "$1: differs: $(cmp "$2" "$3" 2>&1)" "$(od -An -c "$2" | head -n 20; echo want:; od -An -c "$3" | head -n 20)"
}

ok() {
	what=$1
	shift
	checked
	"$@" || fail "$what: exit code $? of: $*"
}

nok() {
	what=$1
	shift
	checked
	! "$@" || fail "$what: success of: $*"
}

exits() {
	what=$1 code=$2
	shift 2
	got=0
	limit 30 "$@" >"$T/out" 2>"$T/err" || got=$?
	is "$what: exit code of $(basename "$1")" "$got" "$code" || {
		show "$(cat "$T/out" "$T/err" | tr -d '\0')" >>"$TMP/$TEST.fail"
		return 1
	}
}

between() {
	checked
	{ [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; } || fail "$1: $2 is not in $3..$4"
}

skip() {
	echo "$1" >"$TMP/$TEST.skip"
	exit 0
}

need() {
	for tool in "$@"; do
		case $tool in
		"busybox "*) busybox --list 2>/dev/null | grep -qx "${tool#* }" && continue ;;
		*) command -v "$tool" >/dev/null 2>&1 && continue ;;
		esac
		if [ "${CI-}" = true ]; then
			fail "there is no $tool"
			exit 1
		fi
		skip "there is no $tool"
	done
}

bg() {
	nanny 300 "$@" &
	BG=$!
	BG_PIDS="$BG_PIDS $BG"
}

limit() {
	nanny "$@"
}

within() {
	tries=$(($1 * 20))
	shift
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.05
	done
}

## Running

# shellcheck disable=SC2086 # pids are words
end_test() {
	trap '' EXIT
	[ -z "$BG_PIDS" ] || kill $BG_PIDS 2>/dev/null
	wait
	rm -rf "$T"
}

start() {
	STARTED=$((STARTED + 1))
	echo "$group: $1" >"$TMP/$STARTED.name"
	shift
	(
		TEST=$STARTED
		T=$TMP/$TEST
		mkdir "$T" || exit 1
		trap end_test EXIT
		"$@"
		: >"$TMP/$TEST.done"
	) >"$TMP/$STARTED.log" 2>&1 </dev/null &
	eval "pid_$STARTED=$!"
	RUNNING="$RUNNING $!"
}

# shellcheck disable=SC2154 # pid is set by eval
report() {
	eval "pid=\$pid_$1"
	wait "$pid"
	RUNNING=$(echo "$RUNNING" | sed "s/ $pid\$//; s/ $pid / /")
	REPORTED=$((REPORTED + 1))
	name=$(cat "$TMP/$1.name")
	if [ -s "$TMP/$1.skip" ] && [ ! -s "$TMP/$1.fail" ]; then
		SKIPPED=$((SKIPPED + 1))
		echo "ok $REPORTED - $name # SKIP $(cat "$TMP/$1.skip")"
		return
	fi
	[ -e "$TMP/$1.done" ] || [ -s "$TMP/$1.fail" ] || echo 'failed: ended early' >>"$TMP/$1.fail"
	[ -s "$TMP/$1.checks" ] || echo 'failed: checked nothing' >>"$TMP/$1.fail"
	if [ ! -s "$TMP/$1.fail" ]; then
		echo "ok $REPORTED - $name"
		return
	fi
	FAILED=$((FAILED + 1))
	echo "not ok $REPORTED - $name"
	comment <"$TMP/$1.fail"
	if [ -s "$TMP/$1.log" ]; then
		echo '# it printed:'
		tail -n 30 "$TMP/$1.log" | tr -d '\0' | comment
	fi
}

wanted() {
	printf '%s\n' "$1" | grep -Eq -e "${ONLY:-.}"
}

it() {
	wanted "$1" || return 0
	start "$@"
	report $STARTED
}

slow() {
	wanted "$1" || return 0
	start "$@"
	PENDING="$PENDING $STARTED"
	# shellcheck disable=SC2086 # numbers are words
	set -- $PENDING
	[ $# -le $JOBS ] || report_pending 1
}

# shellcheck disable=SC2086 # numbers are words
report_pending() {
	n=$1
	set -- $PENDING
	while [ $# -gt 0 ] && [ "$n" -gt 0 ]; do
		report "$1"
		shift
		n=$((n - 1))
	done
	PENDING=$*
}

run_group() {
	group=$1
	# shellcheck disable=SC1090 # the file is a variable
	. "tests/$1.sh"
	report_pending 9999
}

# The nannies notice the end of their shells.
# shellcheck disable=SC2086 # pids are words
clean_up() {
	trap '' EXIT HUP INT TERM
	[ -z "$RUNNING" ] || kill $RUNNING 2>/dev/null
	[ -z "$WATCH" ] || kill "$WATCH" 2>/dev/null
	wait
	rm -rf "$TMP" 2>/dev/null || { sleep 0.2; rm -rf "$TMP"; }
}

WATCH=
trap clean_up EXIT
trap 'exit 130' HUP INT TERM

[ $# -gt 0 ] || for g in $GROUPS_ALL; do
	if [ -e "tests/$g.sh" ]; then set -- "$@" "$g"; fi
done
for g in "$@"; do
	[ -e "tests/$g.sh" ] || { echo "test.sh: no group $g (they are: $GROUPS_ALL)" >&2; exit 2; }
done
helper nanny || exit 2
nanny -w $LIMIT_ALL $$ &
WATCH=$!
for g in "$@"; do run_group "$g"; done

echo "1..$REPORTED"
summary="$((REPORTED - FAILED - SKIPPED)) passed, $FAILED failed"
[ $SKIPPED -eq 0 ] || summary="$summary, $SKIPPED skipped"
echo "$summary"
[ $FAILED -eq 0 ]
