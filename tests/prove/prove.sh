#!/bin/sh
# make prove: Frama-C's Eva runs the whole server in the abstract, over the system of system.h; WP
# proves what Eva leaves open. Every property of both must come out proven, or stand in server.open.
#
#	prove.sh [SOURCE]	poppass.c unless given (faults.sh gives broken ones)
#
# WP sees memory once more in another way (raw) for next_line, where a pointer becomes a length.
# Needs frama-c-base, why3, cvc4 (Debian) and musl's headers. About two minutes.

set -u
cd "$(dirname "$0")" || exit 1
source=$(readlink -f "${1:-../../poppass.c}")
limit=${PROVE_SECONDS:-600}
for tool in frama-c why3 cvc4; do
	command -v $tool >/dev/null || { echo "prove: no $tool (apt-get install frama-c-base why3 cvc4)" >&2; exit 1; }
done
libc=$(frama-c -print-share-path)/libc
for musl in "/usr/include/$(uname -m)-linux-musl" /usr/include; do
	[ -f "$musl/bits/alltypes.h" ] && break
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
# why3 keeps what it knows of provers in the home.
HOME=$work
export HOME
why3 config detect >"$work/why3" 2>&1 || { cat "$work/why3"; exit 1; }
awk -f annotate.awk server.notes "$source" >"$work/server.c" || exit 1

cpp="gcc -E -C -w -nostdinc -Iinclude -I$musl -I../.. -D_GNU_SOURCE -DTLS=0"
cpp="$cpp -DVERSION='\"1\"' -DFRAMAC_STRING_H='\"$libc/string.h\"'"
cpp="$cpp -DFRAMAC_BUILTIN_H='\"$libc/__fc_builtin.h\"' -DSOURCE='\"$work/server.c\"'"

# The values of these calls are kept apart afterwards.
returns=waitpid:-1:0,pipe2:0,reap:0,getrandom:16,configure:0,split_command:0,look_up:0,make_pipe:0,open_pipe:0,open_null:-1
# How many states are followed side by side, where the 10 of the others is not right.
levels=put_escaped:0,put:0,put_byte:0,server_main:20,parse_ipv4:0,parse_group:0,parse_ipv6:0,take_literal:0
levels=$levels,put_ipv6:300,reap:100,run:50,kill_chain:50,split_command:200
proofs=look_up,variable,take_variable,find,milliseconds,set_left,write_some,write_all,put_byte,put,receive,fill
proofs=$proofs,take_text,code_length,contains,reason,next_line,drop_line,mistake,has_control,begins,argument
proofs=$proofs,add_field,obey,take_from_environment,take_with_port,is_blank,split_word,server_main,count_work

timeout "$limit" frama-c -machdep gcc_x86_64 -c11 -no-frama-c-stdlib -cpp-command "$cpp" -cpp-frama-c-compliant \
	server.c -main prove -eva -eva-use-spec take_literal \
	-eva-slevel 10 -eva-slevel-function $levels -eva-split-limit 2000 \
	-eva-split-return auto -eva-split-return-function $returns -eva-msg-key=-initial-state,-final-states \
	-metrics-eva-cover -save "$work/state" >"$work/eva" 2>&1 ||
	{ tail -n 20 "$work/eva"; echo "prove: Eva did not come to its end"; exit 1; }
timeout "$limit" frama-c -load "$work/state" -wp -wp-fct $proofs -wp-prop=-@assumed -wp-prover cvc4 \
	-wp-timeout 5 -wp-par 2 -wp-msg-key=-shell -wp-no-print \
	-then -wp-fct next_line -wp-model Typed+raw \
	-then -no-wp -metrics -metrics-eva-cover -report-csv "$work/report" -report-no-proven >"$work/wp" 2>&1 ||
	{ tail -n 20 "$work/wp"; echo "prove: WP did not come to its end"; exit 1; }
[ -z "${KEEP:-}" ] || cp "$work/state" "$work/eva" "$work/wp" "$work/report" "$KEEP"

sed -n 's/^ *\([0-9]* functions analyzed.*\)/prove: \1/p; s/^ *\(In these functions.*\)/prove: \1/p; s/^ *\([0-9]* alarms generated.*\)/prove: \1/p' "$work/eva"
sed -n 's/^.*\(Proved goals: *.*\)/prove: \1/p' "$work/wp"

# The report's columns: folder, file, line, function, kind, status, property.
awk -F '\t' '
	FILENAME == ARGV[1] {
		if ($0 !~ /^#/) {
			open[++n] = $1
			part[n] = $2
		}
		next
	}
	FNR == 1 || $6 == "Considered valid" { next }
	# What follows from an open precondition or is proven at each call is no concern of its own.
	$5 == "precondition" || $5 == "postcondition" && $4 == "take_literal" { next }
	{
		found = 0
		for (i = 1; i <= n; i++)
			if ($4 == open[i] && index($7, part[i])) {
				used[i] = 1
				found = 1
			}
		if (!found) {
			print "prove: open: " $4 ", " $5 ": " $7
			bad++
		} else
			stated++
	}
	END {
		for (i = 1; i <= n; i++)
			if (!used[i]) {
				print "prove: not needed in server.open: " open[i] ", " part[i]
				bad++
			}
		printf "prove: %d properties open, %d of them with a stated reason\n", bad + stated, stated
		exit bad > 0
	}' server.open "$work/report"
