#!/bin/sh
# sh tests/size.sh (make size): what the programs weigh, on disk and in memory, against the budgets.
#
# Builds its own copies, plain and with TLS, below $BUILD/size, with a link map each. Memory is that
# of an idle session, one of two, so that what sessions share is not counted as private.
# Exceeding a budget of bench/budgets.sh is failure. Environment: BUILD, DEPS, CC and the like as for make.

set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
DEPS=${DEPS:-build/deps}
work=$BUILD/size
BUSYBOX=$DEPS/bin/busybox
unset CERTFILE KEYFILE
export LC_ALL=C
failed=0
listener=
clients=
# shellcheck source=bench/budgets.sh
. bench/budgets.sh

complain() {
	echo "size: $*" >&2
	exit 1
}

# shellcheck disable=SC2086 # numbers are words
clean_up() {
	[ -z "$clients$listener" ] || kill $clients $listener 2>/dev/null
	clients=
	listener=
}

# build TLS FOLDER: the server and its link map. A map is of one program, hence a folder more for the others.
build() {
	mkdir -p "$work/$2"
	rm -f "$work/$2/qmail-poppass"
	run_make "$work/$2" TLS="$1" LDFLAGS="${LDFLAGS:-} -Wl,-Map=$work/$2/map" "$work/$2/qmail-poppass"
}

run_make() {
	folder=$1
	shift
	${MAKE:-make} -s BUILD="$folder" DEPS="$DEPS" "$@" || complain "make $* failed"
}

stripped() {
	${STRIP:-strip} -o "$work/stripped" "$1" || complain "cannot strip $1"
	wc -c <"$work/stripped"
}

# row NAME FILE
row() {
	# shellcheck disable=SC2046 # numbers are words
	set -- "$1" $(size "$2" | tail -n 1 | cut -f 1-3) "$(stripped "$2")"
	printf '%-28s %9s %9s %9s %9s\n' "$@"
}

table_of_programs() {
	printf '%-28s %9s %9s %9s %9s\n' '' text data bss stripped
	row 'qmail-poppass' "$work/plain/qmail-poppass"
	row 'qmail-poppass with TLS' "$work/tls/qmail-poppass"
	row checkpassword-file "$work/backends/checkpassword-file"
	row setpassword-file "$work/backends/setpassword-file"
}

# What the linker kept: "object text data bss", archives as archive(member). A section's
# name has a line of its own where it is long; only what has an address and a size counts.
map_sizes() {
	awk '
		function hex(s, n, i) {
			n = 0
			for (i = 3; i <= length(s); i++)
				n = n * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
			return n
		}
		/^Linker script and memory map/ { on = 1 }
		!on || /^[.]/ { next }
		/^ [.A-Z*]/ { section = $1 }
		/^ [.A-Z*][^ ]*$/ { next }
		/0x[0-9a-f]+ +0x[0-9a-f]+ [^ ]/ {
			for (i = 1; $i !~ /^0x/; i++)
				;
			n = hex($(i + 1))
			object = $(i + 2)
			sub(/.*\//, "", object)
			kind = section ~ /^[.]bss|^COMMON|^[.]sbss/ ? 3 : section ~ /^[.]s?data/ ? 2 : 1
			if (n == 0 || section ~ /debug|comment|note|attributes/)
				next
			sum[object, kind] += n
			seen[object] = 1
		}
		END {
			for (o in seen)
				print o, sum[o, 1] + 0, sum[o, 2] + 0, sum[o, 3] + 0
		}' "$1"
}

# parts FOLDER: by archive
parts() {
	map_sizes "$work/$1/map" | sed 's/(.*)//' | awk '
		{ for (i = 2; i < 5; i++) sum[$1, i] += $i; n[$1]++; all[$1] = 1 }
		END {
			for (a in all)
				printf "  %-26s %9d %9d %9d %9s\n", a, sum[a, 2], sum[a, 3], sum[a, 4], \
					(n[a] > 1 ? n[a] " objects" : "")
		}' | sort -k2,2nr
}

bearssl_objects() {
	map_sizes "$work/tls/map" | sed -n 's/^libbearssl[.]a(\(.*\)[.]o)/\1/p' | sort -k2,2nr |
		awk '{ printf "  %-26s %9d %9d %9d\n", $1, $2, $3, $4 }'
}

# children PID
children() {
	cat /proc/[0-9]*/stat 2>/dev/null | awk -v p="$1" '$4 == p { print $1 }'
}

# memory PID: private, shared, proportional
memory() {
	awk '/^Private_/ { p += $2 } /^Shared_/ { s += $2 } /^Pss:/ { q = $2 } END { print p + 0, s + 0, q + 0 }' \
		"/proc/$1/smaps_rollup"
}

# Two connections that have their greeting and say nothing.
connect() {
	for n in 1 2; do
		: >"$work/greeting$n"
		sleep 30 | "$@" >"$work/greeting$n" 2>"$work/client$n" &
		clients="$clients $!"
		tries=100
		until grep -q '^200 ' "$work/greeting$n"; do
			tries=$((tries - 1))
			[ $tries -gt 0 ] || complain "no greeting from $session: $(cat "$work/log" "$work/client$n")"
			sleep 0.1
		done
	done
}

listen() {
	port=21000
	while :; do
		"$BUSYBOX" tcpsvd -v 127.0.0.1 $port "$work/$1/qmail-poppass" size.example "$checker" 2>"$work/log" &
		listener=$!
		until grep -q listening "$work/log" || ! kill -0 $listener 2>/dev/null; do sleep 0.05; done
		grep -q listening "$work/log" && break
		port=$((port + 1))
		[ $port -lt 21100 ] || complain "tcpsvd: $(cat "$work/log")"
	done
}

# idle FOLDER CLIENT...: sets $total to the private memory of one session
idle() {
	session=$1
	shift
	listen "$session"
	# shellcheck disable=SC2145 # PORT is at the end of the client's words
	connect "$@$port"
	server=$(children $listener | sed 1q)
	relay=$(children "$server" | sed 1q)
	total=0
	for p in $server $relay; do
		name=$session
		[ "$p" = "$server" ] || name="$session: relay"
		# shellcheck disable=SC2046 # numbers are words
		set -- $(memory "$p")
		printf '  %-26s %9s %9s %9s\n' "$name" "$1" "$2" "$3"
		total=$((total + $1))
	done
	clean_up
}

memory_of_sessions() {
	[ "$(id -u)" = 0 ] || {
		echo 'Idle sessions: not measured, which needs root'
		[ "${CI-}" != true ] || failed=1
		return
	}
	here=$PWD
	case $work in /*) here= ;; *) work=$here/$work ;; esac
	checker=$work/backends/checkpassword-file
	export PASSWORD_COMMAND=/bin/false
	printf '\n%-28s %9s %9s %9s\n' 'An idle session, kB' private shared 'in share'
	idle plain "$BUSYBOX" nc 127.0.0.1 ''
	private_plain=$total
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=size.example \
		-keyout "$work/key.pem" -out "$work/cert.pem" 2>"$work/openssl" || complain "openssl: $(cat "$work/openssl")"
	export CERTFILE="$work/cert.pem" KEYFILE="$work/key.pem"
	idle tls openssl s_client -quiet -connect 127.0.0.1:
	budget 'plain session, private' "$private_plain" $PRIVATE_PLAIN kB
	budget 'TLS session, private' "$total" $PRIVATE_TLS kB
}

# budget WHAT VALUE LIMIT UNIT
budget() {
	verdict=holds
	[ "$2" -le "$3" ] || { verdict=EXCEEDED; failed=1; }
	printf '  %-26s %9s of %9s %s: %s\n' "$1" "$2" "$3" "$4" "$verdict" >>"$work/budgets"
}

trap clean_up EXIT
trap 'exit 130' HUP INT TERM
build 0 plain
build 1 tls
run_make "$work/backends" "$work/backends/checkpassword-file" "$work/backends/setpassword-file"
: >"$work/budgets"
table_of_programs
printf '\nThe server without TLS, by what it is linked from\n'
parts plain
printf '\nWith TLS\n'
parts tls
printf '\nBearSSL, by object\n'
bearssl_objects
plain=$(stripped "$work/plain/qmail-poppass")
tls=$(stripped "$work/tls/qmail-poppass")
budget 'plain, stripped' "$plain" $SIZE_PLAIN bytes
budget 'TLS, stripped' "$tls" $SIZE_TLS bytes
[ "$tls" -le $SIZE_TLS_WANTED ] ||
	echo "  (wanted for TLS: $SIZE_TLS_WANTED, $((tls - SIZE_TLS_WANTED)) fewer)" >>"$work/budgets"
memory_of_sessions
printf '\nBudgets\n'
cat "$work/budgets"
[ $failed = 0 ]
