#!/bin/sh
# make lint: what compilers and checkers can see without running anything. Wanted: not a word.
# gcc -fanalyzer and cppcheck over all C; clang-tidy by clang-tidy.conf over what is installed, its
# analyser alone over tests and benchmarks. About a minute.

set -u
cd "$(dirname "$0")/.." || exit 1
deps=${DEPS:-build/deps}
out=$(mktemp)
trap 'rm -f "$out"' EXIT
trap 'exit 1' HUP INT TERM
flags="-I. -Ibench -I$deps/include"

# look SOURCE CLANG-TIDY-OPTION SWITCH...
look() {
	source=$1
	option=$2
	shift 2
	# shellcheck disable=SC2086
	{
		gcc -std=c11 -O2 -Wall -Wextra -fanalyzer -fdiagnostics-plain-output $flags "$@" -c -o /dev/null "$source"
		clang-tidy --quiet "$option" "$source" -- -std=c11 $flags "$@"
		cppcheck -q --enable=warning,performance,portability --std=c11 $flags "$@" "$source"
	} 2>&1 | grep '[0-9]: \(warning\|error\|performance\|portability\): \|^cppcheck: error'
}

missing=
for tool in gcc clang-tidy cppcheck; do
	command -v $tool >/dev/null || missing="$missing $tool"
done
[ -z "$missing" ] || { echo "lint: missing:$missing" >&2; exit 1; }
[ -f "$deps/include/bearssl.h" ] || { echo "lint: run make deps first" >&2; exit 1; }

full=--config-file=tests/clang-tidy.conf
analyser='--checks=-*,clang-analyzer-*,-clang-analyzer-security.insecureAPI.*,-clang-analyzer-unix.Vfork'
{
	for tls in 0 1; do
		look poppass.c $full -D_GNU_SOURCE '-DVERSION="lint"' -DTLS=$tls
	done
	look bearssl_glue.c $full -D_GNU_SOURCE -DTLS=1
	for setter in 0 1; do
		look backends/file.c $full -D_GNU_SOURCE -DSETTER=$setter
	done
	for source in tests/*.c bench/*.c; do
		if grep -q '^#define _GNU_SOURCE' "$source"; then
			look "$source" "$analyser" -DTLS=1
		else
			look "$source" "$analyser" -D_GNU_SOURCE -DTLS=1
		fi
	done
} >"$out"
cat "$out"
n=$(grep -c . "$out")
echo "lint: $n findings"
[ "$n" = 0 ]
