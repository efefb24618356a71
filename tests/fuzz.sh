#!/bin/sh
# make fuzz: coverage-guided fuzzing with libFuzzer and the sanitizers, of programs whose oracles
# know more than crashes (the head comments in tests/fuzz/*.c say what they check):
#
#	session		the whole server on a system of its own: client, chains, faults
#	words		PASSWORD_COMMAND and addresses
#	file		the whole of setpassword-file: record, file, rewriting
#	tls		the certificate and key loaders, and the relay with a client that sends anything
#	relay		the relay behind its handshake, with a real client that does anything
#
# tests/fuzz.sh [TARGET ...]. Environment: FUZZ_SECONDS (60) in all, 0 for the seeds alone; BUILD, DEPS, CLANG (clang).
# The seeds are tests/fuzz/corpus; what is found grows in $BUILD/fuzz/corpus. An input that
# breaks something stays as $BUILD/fuzz/TARGET-*: run $BUILD/fuzz/TARGET with it as the argument,
# and add it to the seeds. Exit status: 0 if nothing broke.

set -u
cd "$(dirname "$0")/.." || exit 2
BUILD=${BUILD:-build}
DEPS=${DEPS:-build/deps}
CLANG=${CLANG:-clang}
SECONDS_ALL=${FUZZ_SECONDS:-60}
F=$BUILD/fuzz
[ $# -gt 0 ] || set -- session words file tls relay
command -v "$CLANG" >/dev/null 2>&1 || { echo "fuzz: no $CLANG (Debian: apt-get install clang)" >&2; exit 2; }
mkdir -p "$F" || exit 2

build() {
	libs=
	tls=0
	case $1 in tls | relay) libs=$DEPS/lib/libbearssl.a tls=1 ;; esac
	# shellcheck disable=SC2086 # libs is nothing or one word
	"$CLANG" -g -O2 -std=gnu11 -w -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-D_GNU_SOURCE -DTLS=$tls -DVERSION='"fuzz"' -I. -Itests/fuzz -I"$DEPS/include" -o "$F/$1" "tests/fuzz/$1.c" $libs
}

# The seeds alone first: what was once found has to stay mended, whatever the dice say.
fuzz() {
	mkdir -p "$F/corpus/$1"
	"$F/$1" -runs=0 -timeout=60 -print_final_stats=1 "tests/fuzz/corpus/$1" >"$F/$1.log" 2>&1 || return 1
	[ "$2" = 0 ] ||
		"$F/$1" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -max_len=8000 -print_final_stats=1 \
			-artifact_prefix="$F/$1-" "$F/corpus/$1" "tests/fuzz/corpus/$1" >>"$F/$1.log" 2>&1
}

report() {
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$F/$1.log" | tail -n 1)
	reached=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$F/$1.log" | tail -n 1)
	if [ "$2" = 0 ] && [ "${runs:-0}" -gt 0 ]; then
		echo "ok - fuzz $1: $runs runs, $reached edges"
		return 0
	fi
	echo "not ok - fuzz $1"
	grep -a -A 40 -m 1 -e '^WRONG' -e 'ERROR: ' "$F/$1.log" | sed 's/^/# /'
	grep -a 'Test unit written' "$F/$1.log" | sed 's/^/# /'
	return 1
}

targets=$#
share=$((SECONDS_ALL / ((targets + 1) / 2)))	# two at a time
[ $share -gt 0 ] || [ "$SECONDS_ALL" = 0 ] || share=1
failed=0
for t in "$@"; do build "$t" || exit 2; done
while [ $# -gt 0 ]; do
	a=$1 b=${2-}
	if [ "$b" ]; then
		fuzz "$b" $share &
		second=$!
	fi
	fuzz "$a" $share
	report "$a" $? || failed=$((failed + 1))
	shift
	[ "$b" ] || continue
	wait "$second"
	report "$b" $? || failed=$((failed + 1))
	shift
done
echo "$((targets - failed)) passed, $failed failed"
[ $failed = 0 ]
