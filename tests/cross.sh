#!/bin/sh
# sh tests/cross.sh [MACHINE ...]	(make cross): the programs for other machines, tested and weighed
# sh tests/cross.sh packages [MACHINE ...]	(make deps-cross): what that needs, from Debian
#
# For each machine: a static build with TLS and one without, by Debian's cross compiler and
# musl; the suite on the first one under qemu-user; a row of the table. Everything is below
# $CROSS (build/cross), the programs in MACHINE/tls and MACHINE/plain. The last line counts the tests.
#
# Environment: CROSS; TESTS: the groups to run instead of those below; TESTS=none builds only;
# JOBS: machines beside each other (2).

set -u
cd "$(dirname "$0")/.." || exit 1
ME=cross
TESTS=${TESTS:-conversation chains backends handshake}
JOBS=${JOBS:-2}
# shellcheck source=tests/machines.sh
. tests/machines.sh

packages() {
	names=qemu-user-static
	for m in "$@"; do
		names="$names gcc-$(column "$m" 2 | tr _ -)"
	done
	# shellcheck disable=SC2086 # names are words
	install_packages $names
}

# build MACHINE TLS FOLDER
build() {
	step "$1, TLS=$2" make -s CC="$CC" DEPS="$DEPS" BUILD="$OUT/$1/$3" TLS="$2" CFLAGS=-g
}

# The machine's word on what it is, since a wrong CC would pass unnoticed where tests do not run.
is_for() {
	file -L "$OUT/$1/tls/qmail-poppass" | grep -q 'statically linked' || fail "$1: not static"
	want=$(column "$1" 2)
	got=$("$CC" -dumpmachine)
	[ "$got" = "$want" ] || fail "$1: a compiler for $got"
}

sizes() {
	printf '%s|%s|%s|%s|%s|' "$1" "$(stripped "$OUT/$1/plain/qmail-poppass" "$1")" \
		"$(stripped "$OUT/$1/tls/qmail-poppass" "$1")" "$(stripped "$OUT/$1/tls/checkpassword-file" "$1")" \
		"$(stripped "$OUT/$1/tls/setpassword-file" "$1")"
}

groups() {
	for g in $TESTS; do
		if [ -e "tests/$g.sh" ]; then echo "$g"; fi
	done
}

# The suite's own line goes into the table; its report stays in MACHINE/tests, which begins with how to run it by hand.
suite() {
	[ "$TESTS" != none ] || { echo 'not run'; return; }
	emulator=qemu-$(column "$1" 3)-static
	have "$emulator" || fail "there is no $emulator: make deps-cross"
	mkdir -p "$DEPS/bin"
	ln -sf "$TOP/build/deps/bin/busybox" "$DEPS/bin/busybox"
	echo "# CC=$CC DEPS=$DEPS BUILD=$OUT/$1/tls ./test.sh -x $emulator $TESTS" >"$OUT/$1/tests"
	# shellcheck disable=SC2046 # names are words
	BUILD=$OUT/$1/tls ./test.sh -x "$emulator" $(groups) >>"$OUT/$1/tests" 2>&1
	tail -n 1 "$OUT/$1/tests" | grep ' failed' || echo 'ended early, 1 failed'
}

one() {
	LOG=$OUT/$1/log
	: >"$LOG"
	compiler "$1"
	libraries "$1"
	build "$1" 1 tls
	build "$1" 0 plain
	is_for "$1"
	say "$1: tests under emulation: $TESTS"
	row=$(sizes "$1")
	counted=$(suite "$1")
	echo "$row$counted" >"$OUT/$1/row"
	say "$1: $counted"
	[ "$TESTS" = none ] || sed -n "s/^not ok/$ME: $1: &/p" "$OUT/$1/tests"
}

# all MACHINE...: a few at a time; one that fails leaves the others alone.
all() {
	beside=0
	for m in "$@"; do
		[ $beside -lt "$JOBS" ] || { wait; beside=0; }
		beside=$((beside + 1))
		mkdir -p "$OUT/$m"
		echo "$m|||||not built, 1 failed" >"$OUT/$m/row"
		(one "$m") &
	done
	wait
	for m in "$@"; do cat "$OUT/$m/row"; done >"$OUT/table"
}

print_table() {
	printf '%-9s %9s %9s %12s %12s  %-14s %s\n' '' 'server' 'with TLS' 'checkpass...' 'setpass...' 'machine' 'tests under emulation'
	while IFS='|' read -r m plain tls check set counted; do
		printf '%-9s %9s %9s %12s %12s  %-14s %s\n' "$m" "$plain" "$tls" "$check" "$set" "$(column "$m" 4)" "$counted"
	done <"$OUT/table"
	echo '(bytes, stripped, static with musl)'
}

total() {
	cut -d '|' -f 6 "$OUT/table" | tr -d , | awk '
		{ for (i = 2; i <= NF; i++) n[$i] += $(i - 1) }
		END { printf "%d passed, %d failed", n["passed"], n["failed"]; if (n["skipped"]) printf ", %d skipped", n["skipped"]; print "" }'
}

what=tests
[ "${1-}" != packages ] || { what=packages; shift; }
[ $# -gt 0 ] || {
	# shellcheck disable=SC2046 # names are words
	set -- $(machine_names)
}
for m in "$@"; do
	[ "$(column "$m" 1)" ] || fail "no machine $m (they are: $(machine_names | tr '\n' ' '))"
done
: >"$LOG"
if [ $what = packages ]; then
	packages "$@"
	exit
fi
[ -x build/deps/bin/busybox ] || fail 'no build/deps/bin/busybox: make deps'
(private_apt) || exit
# The keyboard does not reach what runs in the background.
trap 'trap "" TERM; kill 0; exit 130' INT HUP
all "$@"
print_table
total
total | grep -q ' 0 failed'
