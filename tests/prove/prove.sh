#!/bin/sh
# make prove: Frama-C's Eva runs a program in the abstract, over a system that does what the kernel
# could; WP proves what Eva leaves open. Every property of both must come out proven, or stand with
# its reason in PART.open; and every statement must be reached, or stand in PART.unreached.
#
#	prove.sh [PART [SOURCE]]	every part; its own source unless given (faults.sh gives broken ones)
#
# PART.sh says what the part is, by eva, wp and judge below. PART.notes goes into the source.
# Needs frama-c-base, why3, cvc4, ocaml (Debian) and musl's headers. KEEP=FOLDER keeps what the tools wrote.

set -u
cd "$(dirname "$0")" || exit 1
if [ $# = 0 ]; then
	failed=0
	for part in server file glue; do
		sh ./prove.sh $part || failed=1
	done
	exit $failed
fi
part=$1
source=${2:+$(readlink -f "$2")}
limit=${PROVE_SECONDS:-600}
for tool in frama-c why3 cvc4 ocamlopt; do
	command -v $tool >/dev/null || { echo "prove: no $tool (apt-get install frama-c-base why3 cvc4 ocaml)" >&2; exit 1; }
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

cpp="gcc -E -C -w -nostdinc -Iinclude -I$musl -I../.. -D_GNU_SOURCE"
cpp="$cpp -DFRAMAC_STRING_H='\"$libc/string.h\"' -DFRAMAC_BUILTIN_H='\"$libc/__fc_builtin.h\"'"

# annotate SOURCE: with the part's notes, where -DSOURCE has it.
annotate() {
	awk -f annotate.awk "$part.notes" "${source:-$1}" >"$work/$part.c" || exit 1
}

# run KIND OPTION...
run() {
	kind=$1
	shift
	timeout "$limit" frama-c "$@" >"$work/$name.$kind" 2>&1 && return
	tail -n 20 "$work/$name.$kind"
	echo "prove: $name: $kind did not come to its end"
	exit 1
}

# eva NAME DEFINES OPTION...: the run over any input and any system.
eva() {
	name=$1
	defines=$2
	shift 2
	run eva -machdep gcc_x86_64 -c11 -no-frama-c-stdlib -cpp-command "$cpp -DSOURCE='\"$work/$part.c\"' $defines" \
		-cpp-frama-c-compliant "$part.c" -eva -eva-split-return auto -eva-msg-key=-initial-state,-final-states \
		-metrics-eva-cover "$@" -save "$work/$name.state"
	run reached -load "$work/$name.state" -load-module "$work/reached"
	for words in '[0-9]* functions analyzed' 'In these functions' '[0-9]* alarms generated'; do
		sed -n "s/^ *\\($words.*\\)/prove: $name: \\1/p" "$work/$name.eva"
	done
}

# wp NAME OPTION...: what that left open, and a table of what still is.
wp() {
	name=$1
	shift
	run wp -load "$work/$name.state" -wp -wp-prop=-@assumed -wp-prover cvc4 -wp-timeout 5 -wp-par 2 \
		-wp-msg-key=-shell -wp-no-print "$@" \
		-then -no-wp -metrics -metrics-eva-cover -report-csv "$work/$name.report" -report-no-proven -report-untried
	sed -n "s/^.*\\(Proved goals: *.*\\)/prove: $name: \\1/p" "$work/$name.wp"
}

# What is left needs a reason: the first file of either awk is PART.open or PART.unreached. Its lines
# are a function and a part of the property or statement, and then the reason.
# shellcheck disable=SC2016 # awk's dollars
reasons='
	FILENAME == ARGV[1] {
		if ($0 !~ /^#/ && NF == 3) {
			of[++n] = $1
			words[n] = $2
		}
		next
	}
	function has_reason(name, text, i, found) {
		for (i = 1; i <= n; i++)
			if (name == of[i] && index(text, words[i]))
				found = used[i] = 1
		stated += found
		bad += !found
		return found
	}
	function conclude(what, i) {
		for (i = 1; i <= n; i++)
			if (!used[i]) {
				print "prove: not needed in " ARGV[1] ": " of[i] ", " words[i]
				unused++
			}
		printf "prove: %s: %d %s, %d of them with a stated reason\n", part, bad + stated, what, stated
		exit bad + unused > 0
	}'

# judge: the tables against PART.open, and cover. A table's columns: folder, file, line, function, kind, status,
# property, which may take further lines. What nobody tried counts too, since WP believes it of a function that is
# called: but not what the library's headers say of functions that nobody calls, nor what a value depends on.
judge() {
	[ -z "${KEEP:-}" ] || cp "$work"/*.state "$work"/*.eva "$work"/*.wp "$work"/*.report "$KEEP"
	awk -F '\t' -v part="$part" "$reasons"'
		FNR == 1 || NF < 7 || $6 == "Considered valid" { next }
		$6 == "Ignored" && ($1 ~ /^FRAMAC_SHARE/ || $5 == "from clause") { next }
		# A precondition is proven at each call, where it has a line of its own.
		$5 == "precondition" { next }
		!has_reason($4, $7) { print "prove: open: " $4 ", " $5 ": " $7 }
		END { conclude("properties open") }' "$part.open" "$work"/*.report
	properties=$?
	cover || return
	return $properties
}

# cover: the statements that none of the part's runs reached, against PART.unreached. What has two
# underscores is the C library's headers.
cover() {
	awk -F '\t' -v part="$part" "$reasons"'
		FNR == 1 { split("", times) }
		$2 !~ /^[01]$/ || /^__/ { next }
		{ statement = $1 "\t" $3 "\t" ++times[$1, $3] }
		!(statement in reached) { reached[statement] = 0 }
		$2 == 1 {
			reached[statement] = 1
			called[$1] = 1
		}
		END {
			for (statement in reached) {
				split(statement, field, "\t")
				if (reached[statement] || field[2] == "never called" && field[1] in called)
					continue
				if (!has_reason(field[1], field[2]))
					print "prove: unreached: " field[1] ": " field[2]
			}
			conclude("statements unreached")
		}' "$part.unreached" "$work"/*.reached
}

cp reached.ml "$work"
ocamlopt -shared -I "$(frama-c -print-lib-path)" -I +zarith -o "$work/reached.cmxs" "$work/reached.ml" || exit 1
# shellcheck source=/dev/null
. "./$part.sh"
