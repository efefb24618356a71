#!/bin/sh
# make bench            the full run: some ten minutes; keeps its table in bench/RESULTS.md
# make bench QUICK=1    the same measurements with fewer rounds: under two minutes
#
# Measures the server beside the floor (the least that a session can cost), beside BearSSL in one process,
# and beside what else a user would run. All of it on loopback, one run, one machine; the contenders
# take turns, so ratios hold where times do not. Report and plot: build/bench/report.md and .svg.
#
# What is the same from run to run (sizes, system calls, instructions, private memory) is checked, and
# the exit status says if all of it is within the budget. Times are only reported.
#
# Environment: BUILD, DEPS, CC as for make; HOSTCC compiles the load client (against OpenSSL).
#	ONLY="once load"	some of the parts: checks once load idle files
#	S6_TLSD=PATH		another wrapper to measure: s6-tlsd
#	PEER_WRAPPER="NAME COMMAND..."	any other: COMMAND is put before a plain server; it gets CERTFILE, KEYFILE, and BOTHFILE
#	PEER_SERVER="NAME COMMAND..."	any other server of the protocol, which answers 200 to user alice
#	PORT=21060		the first of the ports used on 127.0.0.1

set -u
LC_ALL=C
export LC_ALL
umask 022
unset CERTFILE KEYFILE PROTO TCPREMOTEIP TCP6REMOTEIP SSLREMOTEIP TCPREMOTEADDR REMOTE_ADDR REMOTE_HOST

top=$(cd "$(dirname "$0")/.." && pwd) || exit 111
cd "$top" || exit 111
build=${BUILD:-build}
deps=${DEPS:-build/deps}
case $build in /*) ;; *) build=$top/$build ;; esac
case $deps in /*) ;; *) deps=$top/$deps ;; esac
# gnuplot and Debian's daemons live in these.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
port=${PORT:-21060}
out=$build/bench
work=$out/work
bin=$out/bin
host=bench.example
QUICK=${QUICK:-}
TLS=${TLS:-1}
ONLY=${ONLY:-checks once load idle files}

# Budgets of what is deterministic.
# shellcheck source=bench/budgets.sh
. bench/budgets.sh
CALLS_MORE=28		# system calls of the server's process beyond the floor's
INSTRUCTIONS=14000	# of a whole plain session, without its chains
SETTER_GROWTH=64	# kB that a file of 1,000,000 users may cost more than one of 10

if [ -n "$QUICK" ]; then
	once_sessions=60 once_rounds=7 load_rounds=3 load_sessions=40 load_seconds=0.3 idle_peers=1,10,50 file_rounds=2
else
	once_sessions=200 once_rounds=15 load_rounds=15 load_sessions=200 load_seconds=1.2 idle_peers=1,10,100 file_rounds=7
fi

failed=0
missing=
[ "$TLS" = 1 ] || missing='
- TLS in the server: built with TLS=0'

die() { echo "bench: $*" >&2; exit 111; }
say() { echo "bench: $*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }
wants() { case " $ONLY " in *" $1 "*) return 0 ;; esac; return 1; }
lacks()
{
	case $missing in *"- $1"*) return ;; esac
	missing="$missing
- $1"
	say "missing: $1"
}

# check WHAT VALUE LIMIT UNIT: into the report's table of checks.
check()
{
	if [ "$2" -le "$3" ]; then verdict=holds; else verdict='**exceeded**'; failed=1; fi
	echo "| $1 | $2${4:+ $4} | at most $3${4:+ $4} | $verdict |" >>"$out/checks.md"
	[ "$verdict" = holds ] || say "exceeded: $1: $2${4:+ $4}, at most $3"
}

# target WHAT VALUE LIMIT: a timed one, reported only.
target()
{
	echo "$1|$2|$3" | awk -F'|' '{
		split($2, v, " ")
		printf "| %s | %s | at most %s | %s |\n", $1, $2, $3, v[1] == "" || v[1] == 0 ? "not measured" : v[1] <= $3 ? "holds" : "**missed**"
	}' >>"$out/targets.md"
}

# What setting up needs

build_tools()
{
	rm -rf "$work" "$bin"
	mkdir -p "$work" "$bin"
	rm -f "$out"/*.md "$out"/*.txt
	for f in nothing floor base once copy; do
		[ -x "$out/$f" ] || die "$out/$f is missing: run this by 'make bench'"
		cp "$out/$f" "$bin/$f"
	done
	cp "$build/qmail-poppass" "$build/checkpassword-file" "$build/setpassword-file" "$bin" || die "run 'make' first"
	cp "$build/plain/qmail-poppass" "$bin/poppass-plain" || die "run this by 'make bench'"
	${STRIP:-strip} "$bin"/* || die "strip"
	${HOSTCC:-cc} -O2 -o "$bin/load" bench/load.c -lssl -lcrypto 2>"$work/cc" ||
		lacks "load client: needs a C compiler and OpenSSL's headers (Debian: gcc libssl-dev)"
	busybox=$deps/bin/busybox
	[ -x "$busybox" ] || busybox=busybox
	"$busybox" tcpsvd 2>&1 | grep -q 'tcpsvd' || die "no busybox with tcpsvd: make deps"
	nothing=$bin/nothing
	# All contenders see this and no more: what is in the environment costs at each exec.
	environment="PATH=/usr/sbin:/usr/bin:/bin PASSWORD_COMMAND=$nothing"
	printf 'user alice\r\npass old-secret\r\nnewpass new-Secret-9\r\nquit\r\n' >"$work/conversation"
}

make_certificates()
{
	have openssl || die "no openssl"
	for t in ec rsa; do
		case $t in ec) kind='ec -pkeyopt ec_paramgen_curve:P-256' ;; *) kind=rsa:2048 ;; esac
		# shellcheck disable=SC2086 # words are wanted
		openssl req -x509 -newkey $kind -nodes -days 3650 -subj "/CN=$host" \
			-keyout "$work/$t.key" -out "$work/$t.pem" 2>"$work/openssl" || die "openssl req"
		cat "$work/$t.key" "$work/$t.pem" >"$work/$t.both"
		stunnel_file "$t" exec >"$work/$t.stunnel"
		stunnel_file "$t" inetd >"$work/$t.stunnel-inetd"
	done
}

# stunnel as a daemon that accepts and executes, or run by tcpsvd. Its limits are its own; TLS 1.2 is what the others speak.
stunnel_file()
{
	case $1 in ec) at=$((port + 1)) ;; *) at=$((port + 11)) ;; esac
	printf 'syslog = no\npid =\noutput = /dev/null\n'
	[ "$2" = inetd ] || printf 'foreground = quiet\n[pop]\naccept = 127.0.0.1:%s\n' "$at"
	printf 'exec = %s\nexecArgs = qmail-poppass %s %s\n' "$bin/poppass-plain" "$host" "$nothing"
	printf 'cert = %s\nkey = %s\nsslVersionMax = TLSv1.2\n' "$work/$1.pem" "$work/$1.key"
}

# For poppassd's own mount namespace: PAM does nothing, as our chains do, and there is a user alice.
make_pam()
{
	{ cat /etc/passwd; echo 'alice:x:2001:2001::/nonexistent:/bin/false'; } >"$work/passwd"
	printf 'mount --bind %s /etc/pam.d && mount --bind %s /etc/passwd && exec "$@"\n' "$work/pam.d" "$work/passwd" >"$work/poppassd.sh"
	mkdir -p "$work/pam.d"
	for f in poppassd other; do
		printf 'auth required pam_permit.so\naccount required pam_permit.so\npassword required pam_permit.so\nsession required pam_permit.so\n' >"$work/pam.d/$f"
	done
}

find_poppassd()
{
	for f in /usr/sbin/poppassd "$out/peers/usr/sbin/poppassd"; do
		[ -x "$f" ] && poppassd=$f && return 0
	done
	return 1
}

machine()
{
	awk -F': *' '/^model name/ { print "- Processor: " $2; exit }' /proc/cpuinfo
	echo "- Cores: $(grep -c '^processor' /proc/cpuinfo), memory: $(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo), kernel: $(uname -sr), $(uname -m)"
	grep -q hypervisor /proc/cpuinfo && echo "- A virtual machine"
	[ -r /etc/os-release ] && awk -F'"' '/^PRETTY_NAME/ { print "- System: " $2 }' /etc/os-release
	echo "- Compiler: ${CC:-cc}: $(${CC:-cc} --version 2>/dev/null | head -1)"
	echo "- Load when started: $(cut -d' ' -f1-3 /proc/loadavg)"
	for p in stunnel4 tlswrapper ucspi-tcp ipsvd poppassd libssl3 libbearssl0; do
		v=$(dpkg-query -W -f '${Version}' "$p" 2>/dev/null) && [ -n "$v" ] && echo "- $p $v"
	done
	[ -n "$(find_poppassd && echo yes)" ] && [ ! -x /usr/sbin/poppassd ] && echo "- poppassd from Debian's package, unpacked, not installed"
	return 0
}

# (d) and the sizes: deterministic

# Lists "NAME COUNT" of the calls of one process in a trace of strace -f; without a process, of all.
count_calls()
{
	awk -v only="$2" '
		/<\.\.\. |^[0-9]+ +(---|\+\+\+)/ { next }
		{ if (only != "" && $1 != only) next; sub(/^[0-9]+ +/, ""); sub(/\(.*/, ""); n[$0]++ }
		END { for (k in n) print k, n[k] }' "$1" | sort
}

trace()
{
	name=$1
	shift
	# shellcheck disable=SC2002,SC2086 # a pipe, not the file itself; words are wanted
	cat "$work/conversation" | env -i $environment strace -f -o "$work/$name.trace" "$@" >"$work/$name.out" 2>/dev/null
	[ "$(grep -c '^200 ' "$work/$name.out")" -eq 5 ] || die "strace $name: not five replies"
	count_calls "$work/$name.trace" '' >"$work/$name.all"
	count_calls "$work/$name.trace" "$(awk '{ print $1; exit }' "$work/$name.trace")" >"$work/$name.self"
}

total() { awk '{ n += $2 } END { print n + 0 }' "$1"; }

check_calls()
{
	if ! have strace; then lacks "strace: system calls not counted"; return; fi
	trace floor "$bin/floor" "$host" "$nothing"
	trace server "$bin/qmail-poppass" "$host" "$nothing"
	check 'System calls of the server beyond the floor, piped input' \
		$(($(total "$work/server.self") - $(total "$work/floor.self"))) "$CALLS_MORE" ''
	{
		echo "Floor $(total "$work/floor.self"), server $(total "$work/server.self"); with what their children call before and after exec $(total "$work/floor.all") and $(total "$work/server.all")."
		echo
		echo '| call | floor | server | of its children, floor | of its children, server | why it is there |'
		echo '|---|---|---|---|---|---|'
		awk '
			FILENAME ~ /calls.txt$/ { if (!/^#/ && NF > 1) { k = $1; $1 = ""; why[k] = substr($0, 2) } next }
			FILENAME ~ /floor.self$/ { f[$1] = $2; all[$1] = 1 }
			FILENAME ~ /server.self$/ { s[$1] = $2; all[$1] = 1 }
			FILENAME ~ /floor.all$/ { fa[$1] = $2; all[$1] = 1 }
			FILENAME ~ /server.all$/ { sa[$1] = $2; all[$1] = 1 }
			END {
				for (k in all) if (s[k] != f[k] || sa[k] != fa[k])
					printf "| %s | %d | %d | %d | %d | %s |\n", k, f[k], s[k], fa[k] - f[k], sa[k] - s[k], k in why ? why[k] : "**unexplained**"
			}' bench/calls.txt "$work/floor.self" "$work/server.self" "$work/floor.all" "$work/server.all" | sort
	} >"$out/calls.md"
	check 'System calls without a reason in bench/calls.txt' "$(grep -c unexplained "$out/calls.md")" 0 ''
}

instructions()
{
	# shellcheck disable=SC2086 # words are wanted
	env -i $environment valgrind --tool=callgrind --callgrind-out-file="$work/callgrind.out" "$@" <"$work/conversation" 2>&1 >/dev/null |
		awk '/Collected/ { print $NF }'
}

check_instructions()
{
	if ! have valgrind; then lacks "valgrind: instructions not counted"; return; fi
	n=$(instructions "$bin/qmail-poppass" "$host" "$nothing")
	f=$(instructions "$bin/floor" "$host" "$nothing")
	[ -n "$n" ] || { lacks "instructions: valgrind counted none"; return; }
	check "Instructions of a plain session, chains not counted (floor: $f)" "$n" "$INSTRUCTIONS" ''
}

size() { wc -c <"$1" | tr -d ' '; }

run_checks()
{
	say "sizes, system calls, instructions"
	check 'Size of the plain build, stripped' "$(size "$bin/poppass-plain")" "$SIZE_PLAIN" bytes
	check 'Size of the build with TLS, stripped' "$(size "$bin/qmail-poppass")" "$SIZE_TLS" bytes
	check_calls
	check_instructions
}

# (a) One session from standard input to exit

# once_table FILE: lines of once, the names of its programs in order, as a table over the first.
once_table()
{
	file=$1
	shift
	for column in 3:cpu 4:wall; do
		awk -v names="$*" -v c="${column%:*}" 'BEGIN { split(names, n, " ") } { print n[$2 + 1], $1, $c }' "$file" |
			awk -v base="$1" -f bench/stats.awk | sed "s/^/${column#*:} /"
	done
}

run_once()
{
	say "one session, no listener"
	# shellcheck disable=SC2086 # words are wanted
	for way in pipe socket pinned; do
		option='' front=''
		case $way in socket) option=-s ;; pinned) front='taskset -c 0' ;; esac
		if [ $way = pinned ] && ! have taskset; then continue; fi
		env -i $environment $front "$bin/once" $option -n "$once_sessions" -r "$once_rounds" -i "$work/conversation" -- \
			"$bin/floor" "$host" "$nothing" -- "$bin/qmail-poppass" "$host" "$nothing" -- \
			"$bin/poppass-plain" "$host" "$nothing" >"$work/once.$way" 2>/dev/null || say "errors in once, $way"
		once_table "$work/once.$way" floor server server-without-TLS | sed "s/^/$way /" >>"$out/once.txt"
	done
	{
		echo '| over | what | program | median | quartiles | times the floor | quartiles |'
		echo '|---|---|---|---|---|---|---|'
		awk '{ printf "| %s | %s | %s | %.0f us | %.0f, %.0f | %.3f | %.3f, %.3f |\n", $1, $2 == "cpu" ? "CPU" : "wall", $3, $5, $6, $7, $8, $9, $10 }' "$out/once.txt"
	} >"$out/once.md"
	target 'Plain session, built without TLS: CPU, times the floor' "$(ratio_of once.txt 'pipe cpu server-without-TLS')" 1.10
	target 'Plain session, TLS compiled in: CPU, times the floor' "$(ratio_of once.txt 'pipe cpu server')" 1.10
}

# ratio_of FILE 'KEYS': ratio and its quartiles.
ratio_of() { sed -n "s/^$2 //p" "$out/$1" | awk '{ printf "%.3f (%.3f to %.3f)", $5, $6, $7; exit }'; }

# (b) and (c) Through listeners

# tcpsvd PORT PROGRAM...: the words that run it.
listeners=
add() { listeners="$listeners${listeners:+ -- }$*"; }
tcpsvd() { echo "$busybox tcpsvd -c 64 127.0.0.1 $*"; }

plain_listeners()
{
	listeners=
	add floor plain "$port" "$(tcpsvd "$port" "$bin/floor" "$host" "$nothing")"
	at=$((port + 1))
	server="$bin/qmail-poppass $host $nothing"
	add server plain $at "$(tcpsvd $at "$server")"
	if have tcpserver; then
		at=$((port + 2))
		add server@tcpserver plain $at "tcpserver -HRl0 -c 64 127.0.0.1 $at $server"
	else lacks "tcpserver (Debian: ucspi-tcp)"; fi
	if [ -n "$(ipsvd_path)" ]; then
		at=$((port + 3))
		# Without -l it asks the DNS for the name of 127.0.0.1, once a connection.
		add server@ipsvd plain $at "$(ipsvd_path) -l $host -c 64 127.0.0.1 $at $server"
	else lacks "ipsvd's tcpsvd (Debian: ipsvd)"; fi
	if find_poppassd && [ "$(id -u)" -eq 0 ] && have unshare; then
		at=$((port + 4))
		make_pam
		add poppassd plain $at "unshare -m sh $work/poppassd.sh $(tcpsvd $at "$poppassd")"
		else lacks "poppassd (Debian: poppassd; or sh bench/peers.sh, which does not install it; needs root)"; fi
	if [ -n "${PEER_SERVER:-}" ]; then
		at=$((port + 5))
		add "${PEER_SERVER%% *}" plain $at "$(tcpsvd $at "${PEER_SERVER#* }")"
	fi
}

# busybox may have a link of that name: only the one of ipsvd knows -l.
ipsvd_path() { for f in /usr/bin/tcpsvd /usr/local/bin/tcpsvd; do [ -x $f ] && $f 2>&1 | grep -q -- '-l name' && echo $f && return; done; }

# tls_listeners ec|rsa FIRST-PORT
tls_listeners()
{
	t=$1
	at=$2
	files="$work/$t.pem $work/$t.key"
	plain="$bin/poppass-plain $host $nothing"
	listeners=
	add BearSSL-alone tls "$at" "$(tcpsvd "$at" "$bin/base" "$host" "$files" "$nothing")"
	if have stunnel4; then
		add stunnel tls $((at + 1)) "stunnel4 $work/$t.stunnel"
	else lacks "stunnel (Debian: stunnel4)"; fi
	[ "$TLS" = 0 ] || add server tls $((at + 2)) "env CERTFILE=$work/$t.pem KEYFILE=$work/$t.key $(tcpsvd $((at + 2)) "$bin/qmail-poppass" "$host" "$nothing")"
	if have stunnel4; then
		add stunnel-inetd tls $((at + 3)) "$(tcpsvd $((at + 3)) stunnel4 "$work/$t.stunnel-inetd")"
	fi
	if have tlswrapper && [ "$(id -u)" -eq 0 ]; then
		add tlswrapper tls $((at + 4)) "$(tcpsvd $((at + 4)) tlswrapper -f "$work/$t.both" "$plain")"
	else lacks "tlswrapper (Debian: tlswrapper; needs root)"; fi
	if [ -n "${S6_TLSD:-}" ]; then
		add s6-tlsd tls $((at + 5)) "env CERTFILE=$work/$t.pem KEYFILE=$work/$t.key $(tcpsvd $((at + 5)) "$S6_TLSD" "$plain")"
	else lacks "s6-tlsd (not in Debian; give its path in S6_TLSD)"; fi
	if [ -n "${PEER_WRAPPER:-}" ]; then
		add "${PEER_WRAPPER%% *}" tls $((at + 6)) "env CERTFILE=$work/$t.pem KEYFILE=$work/$t.key BOTHFILE=$work/$t.both $(tcpsvd $((at + 6)) "${PEER_WRAPPER#* }" "$plain")"
	fi
	add echo-alone tls $((at + 7)) "$(tcpsvd $((at + 7)) "$bin/base" "$host" "$files")"
}

# load NAME OPTION...: the listeners, at both concurrencies, into build/bench/NAME-N.txt.
load_at()
{
	name=$1
	for c in 1 20; do
		say "load: $name, $c at once"
		# shellcheck disable=SC2086 # words are wanted
		env -i $environment "$bin/load" -L /dev/null -c $c -n "$load_sessions" -r "$load_rounds" -t "$load_seconds" \
			-H "$out/$name-$c.histogram.txt" $listeners >"$work/$name-$c" 2>"$work/$name-$c.err" || say "load: $(tail -1 "$work/$name-$c.err")"
		sort -u "$work/$name-$c.err" | head -5 >&2
		for column in 5:cpu 7:p50 9:p99 6:each; do
			awk -v c="${column%:*}" '{ print $1, $2, $c }' "$work/$name-$c" | awk -v base="$2" -f bench/stats.awk |
				sed "s/^/${column#*:} /"
		done >"$out/$name-$c.txt"
		load_table "$name" $c "$2"
	done
}

load_table()
{
	{
		echo "| $1, $2 at once | sessions | errors | CPU a session | quartiles | times $3 | quartiles | latency p50 | times $3 | quartiles | p99 | wall a session |"
		echo '|---|---|---|---|---|---|---|---|---|---|---|---|'
		awk '
			NR == FNR { n[$1] += $3; e[$1] += $4; next }
			$1 == "cpu" { order[++k] = $2; c[$2] = sprintf("%.0f us | %.0f, %.0f | %.3f | %.3f, %.3f", $4, $5, $6, $7, $8, $9) }
			$1 == "p50" { p[$2] = sprintf("%.0f us | %.3f | %.3f, %.3f", $4, $7, $8, $9) }
			$1 == "p99" { q[$2] = sprintf("%.0f us", $4) }
			$1 == "each" { w[$2] = sprintf("%.0f us", $4) }
			END { for (i = 1; i <= k; i++) { x = order[i]
				printf "| %s | %d | %d | %s | %s | %s | %s |\n", x, n[x], e[x], c[x], p[x], q[x], w[x] } }' "$work/$1-$2" "$out/$1-$2.txt"
		echo
	} >>"$out/load.md"
}

# over NAME COLUMN A B: the ratio of A to B, round by round, from what load wrote.
over()
{
	awk -v a="$3" '$1 == a { n += $4 } END { exit n > 0 }' "$work/$1" || { echo "0 (it had errors)"; return; }
	awk -v c="$2" -v a="$3" -v b="$4" '$1 == a || $1 == b { print $1, $2, $c }' "$work/$1" | awk -v base="$4" -f bench/stats.awk |
		awk -v a="$3" '$1 == a && $6 > 0 { printf "%.3f (%.3f to %.3f)", $6, $7, $8 }'
}

# 1.30 times handshake and echo, plus the forks: base with its children less base without is what the forks cost.
over_echo()
{
	awk '$1 == "server" { n += $4 } END { exit n > 0 }' "$work/$1" || { echo "0 (it had errors)"; return; }
	awk '
		{ v[$1, $2] = $5; r[$2] = 1 }
		END { for (i in r) if (v["echo-alone", i] > 0 && v["server", i] > 0)
			print "x", i, (v["server", i] - (v["BearSSL-alone", i] - v["echo-alone", i])) / v["echo-alone", i] }' "$work/$1" |
		awk -f bench/stats.awk | awk '{ printf "%.3f (%.3f to %.3f)", $3, $4, $5 }'
}

run_load()
{
	[ -x "$bin/load" ] || return
	: >"$out/load.md"
	plain_listeners
	load_at plain floor
	target 'Plain, through tcpsvd, 1 at once: CPU, times the floor' "$(over plain-1 5 server floor)" 1.10
	tls_listeners ec "$port"
	load_at tls-P-256 stunnel
	tls_listeners rsa $((port + 10))
	load_at tls-RSA-2048 stunnel
	for c in 1 20; do
		target "TLS P-256, $c at once: CPU, times BearSSL in one process with the same forks" "$(over tls-P-256-$c 5 server BearSSL-alone)" 1.30
		target "TLS P-256, $c at once: CPU without the forks, times handshake and echo" "$(over_echo tls-P-256-$c)" 1.30
		target "TLS P-256, $c at once: CPU, times stunnel resident" "$(over tls-P-256-$c 5 server stunnel)" 1.05
		target "TLS P-256, $c at once: latency, times stunnel resident" "$(over tls-P-256-$c 7 server stunnel)" 1.05
		target "TLS RSA-2048, $c at once: CPU, times s6-tlsd" "$(over tls-RSA-2048-$c 5 server s6-tlsd)" 1.00
	done
}

# (e) Memory of idle sessions

idle()
{
	counts=$1
	shift
	# shellcheck disable=SC2086 # words are wanted
	env -i $environment "$bin/load" -L /dev/null -i "$counts" "$@" >>"$work/idle" 2>>"$work/idle.err" || lacks "idle sessions of $1: $(tail -1 "$work/idle.err")"
}

run_idle()
{
	[ -x "$bin/load" ] || return
	[ "$(id -u)" -eq 0 ] || { lacks "memory of idle sessions: needs root"; return; }
	say "idle sessions"
	: >"$work/idle"
	many="$busybox tcpsvd -c 1100 127.0.0.1"
	# shellcheck disable=SC2086 # words are wanted
	{
		idle 1,10,100,1000 server plain "$port" $many "$port" "$bin/poppass-plain" "$host" "$nothing"
		[ "$TLS" = 0 ] || idle 1,10,100,1000 server-TLS tls "$port" env CERTFILE="$work/ec.pem" KEYFILE="$work/ec.key" $many "$port" "$bin/qmail-poppass" "$host" "$nothing"
		have stunnel4 && idle "$idle_peers" stunnel tls $((port + 1)) stunnel4 "$work/ec.stunnel"
		have stunnel4 && idle "$idle_peers" stunnel-inetd tls "$port" $many "$port" stunnel4 "$work/ec.stunnel-inetd"
		[ "$(id -u)" -eq 0 ] && have tlswrapper && idle "$idle_peers" tlswrapper tls "$port" $many "$port" tlswrapper -f "$work/ec.both" "$bin/poppass-plain" "$host" "$nothing"
		[ -n "${S6_TLSD:-}" ] && idle "$idle_peers" s6-tlsd tls "$port" env CERTFILE="$work/ec.pem" KEYFILE="$work/ec.key" $many "$port" "$S6_TLSD" "$bin/poppass-plain" "$host" "$nothing"
	}
	{
		echo '| server | idle sessions | private dirty, each | private clean, each | proportional, each | processes |'
		echo '|---|---|---|---|---|---|'
		awk '{ printf "| %s | %d | %.1f kB | %.1f kB | %.1f kB | %d |\n", $1, $2, $3, $4, $5, $6 }' "$work/idle"
	} >"$out/idle.md"
	for n in 1 1000; do
		check "Private memory of an idle session, plain, $n of them" "$(idle_of server $n)" $PRIVATE_PLAIN kB
		[ "$TLS" = 0 ] || check "Private memory of an idle session, TLS, $n of them" "$(idle_of server-TLS $n)" $PRIVATE_TLS kB
	done
}

idle_of() { awk -v s="$1" -v n="$2" '$1 == s && $2 == n { printf "%d", $3 + (n > 1 ? $4 : 0) + .5; found = 1 } END { if (!found) print 999999 }' "$work/idle"; }

# (f) The check and set programs

users_file()
{
	hash=$(openssl passwd -6 -salt benchsalt old-secret)
	awk -v n="$1" -v h="$hash" 'BEGIN { for (i = 1; i <= n; i++) printf "user%07d:%s:%d:1000::/home/user%07d::\n", i, h, 1000 + i, i }' >"$2"
}

run_files()
{
	say "check and set programs on files of 10, 10,000 and 1,000,000 users"
	printf 'user0000010\0old-secret\0\0\0' >"$work/check.3"
	printf 'user0000010\0old-secret\0\0new-Secret-9\0' >"$work/forth.3"
	printf 'user0000010\0new-Secret-9\0\0old-secret\0' >"$work/back.3"
	hash=$(openssl passwd -6 -salt benchsalt old-secret)
	: >"$out/files.txt"
	for n in 10 10000 1000000; do
		users_file $n "$work/users"
		env -i "$bin/once" -n 1 -r $file_rounds -- \
			-3 "$work/check.3" "$bin/checkpassword-file" -f "$work/users" -- \
			-3 "$work/forth.3" "$bin/setpassword-file" -f "$work/users" -- "$bin/copy" "$work/users" old-secret "$hash" -- \
			-3 "$work/back.3" "$bin/setpassword-file" -f "$work/users" -- "$bin/copy" "$work/users" old-secret "$hash" \
			>"$work/files.$n" 2>"$work/files.err" || say "errors in the check and set programs: $(tail -1 "$work/files.err")"
		for column in 3:cpu 4:wall 5:kB; do
			# Forth and back are two rounds of the same.
			awk -v c="${column%:*}" 'BEGIN { split("check set copy set copy", n, " ") } { print n[$2 + 1], $1 * 2 + ($2 > 2), $c }' "$work/files.$n" |
				awk -v base=copy -f bench/stats.awk | sed "s/^/$n ${column#*:} /"
		done >>"$out/files.txt"
		rm -f "$work/users" "$work/users.copy"
	done
	file_table >"$out/files.md"
	for p in check set; do
		small=$(sed -n "s/^10 kB $p //p" "$out/files.txt" | awk '{ printf "%d", $2 }')
		big=$(sed -n "s/^1000000 kB $p //p" "$out/files.txt" | awk '{ printf "%d", $2 }')
		check "Memory of ${p}password-file, 1,000,000 users beyond 10" $((big - small)) $SETTER_GROWTH kB
	done
	target 'setpassword-file, 1,000,000 users: wall time, times copy, fsync and two hashes' "$(ratio_of files.txt '1000000 wall set')" 1.30
	target 'setpassword-file, 1,000,000 users: CPU, times copy, fsync and two hashes' "$(ratio_of files.txt '1000000 cpu set')" 1.30
	forty_at_once
}

file_table()
{
	echo '| users | program | wall | quartiles | times the copy | quartiles | CPU | times the copy | memory (maxrss) |'
	echo '|---|---|---|---|---|---|---|---|---|'
	awk '
		$2 == "wall" { k++; n[k] = $1; p[k] = $3; w[k] = sprintf("%.1f ms | %.1f, %.1f | %.3f | %.3f, %.3f", $5 / 1000, $6 / 1000, $7 / 1000, $8, $9, $10) }
		$2 == "cpu" { c[$1, $3] = sprintf("%.1f ms | %.3f", $5 / 1000, $8) }
		$2 == "kB" { m[$1, $3] = sprintf("%d kB", $5) }
		END { for (i = 1; i <= k; i++) printf "| %d | %s | %s | %s | %s |\n", n[i], p[i], w[i], c[n[i], p[i]], m[n[i], p[i]] }' "$out/files.txt"
}

user_name() { awk -v i="$1" 'BEGIN { printf "user%07d", i }'; }

forty_at_once()
{
	users_file 10000 "$work/users"
	i=0
	while [ $((i += 1)) -le 40 ]; do
		{ user_name $i; printf '\0old-secret\0\0new-Secret-%s\0' $i; } >"$work/set.$i"
		{ user_name $i; printf '\0new-Secret-%s\0\0\0' $i; } >"$work/check.$i"
	done
	begin=$(cut -d' ' -f1 /proc/uptime)
	i=0
	while [ $((i += 1)) -le 40 ]; do
		"$bin/setpassword-file" -f "$work/users" 3<"$work/set.$i" 2>>"$work/forty.err" &
	done
	wait
	end=$(cut -d' ' -f1 /proc/uptime)
	i=0 lost=0
	while [ $((i += 1)) -le 40 ]; do
		"$bin/checkpassword-file" -f "$work/users" 3<"$work/check.$i" 2>/dev/null || lost=$((lost + 1))
	done
	printf '\nForty changes at once in a file of 10,000 users: %s s in all, %s lost.\n' \
		"$(echo "$begin $end" | awk '{ printf "%.2f", $2 - $1 }')" $lost >>"$out/files.md"
	check 'Of forty changes at once, lost' $lost 0 ''
	rm -f "$work/users"
}

# The report

plot()
{
	if ! have gnuplot; then lacks "gnuplot: no plot"; return; fi
	for f in tls-P-256-1 tls-P-256-20; do
		[ -s "$out/$f.txt" ] || return 0
		awk '$1 == "cpu" { print $2, $4 / 1000, $5 / 1000, $6 / 1000 }' "$out/$f.txt" >"$work/$f.cpu"
	done
	awk '{ print $1 }' "$out/tls-P-256-1.histogram.txt" | sort -u >"$work/names"
	for f in tls-P-256-1 tls-P-256-20; do
		: >"$work/$f.cdf"
		while read -r name; do
			awk -v s="$name" '$1 == s { t += $3; e[++n] = $2; c[n] = t } END { print "\"" s "\""; for (i = 1; i <= n; i++) print e[i] / 1000, 100 * c[i] / t; print "\n" }' "$out/$f.histogram.txt"
		done <"$work/names" >>"$work/$f.cdf"
	done
	awk '{ print $1 }' "$work/idle" 2>/dev/null | sort -u >"$work/idle.names"
	while read -r name; do
		echo "\"$name\""
		awk -v s="$name" '$1 == s { print $2, ($3 + $4 > 1 ? $3 + $4 : 1) }' "$work/idle"
		printf '\n\n'
	done <"$work/idle.names" >"$work/idle.plot"
	gnuplot >"$work/gnuplot" 2>&1 <<EOF || say "gnuplot: $(head -3 "$work/gnuplot")"
set terminal svg size 1100,860 font "sans,12" background "white"
set output "$out/report.svg"
set multiplot layout 2,2
set style fill solid 0.6
set boxwidth 0.38
set yrange [0:*]
set ylabel "ms"
set xtics rotate by -25
set title "TLS (P-256): CPU of the server side, a session"
plot "$work/tls-P-256-1.cpu" using (\$0-0.2):2:3:4:(0.38):xticlabel(1) with boxerrorbars title "1 at once", \
	"$work/tls-P-256-20.cpu" using (\$0+0.2):2:3:4:(0.38) with boxerrorbars title "20 at once"
unset xtics
set xtics
set key bottom right
set logscale x
set xlabel "ms"
set ylabel "% of sessions"
set title "TLS (P-256): latency of a session, 1 at once"
plot for [i=0:$(($(wc -l <"$work/names") - 1))] "$work/tls-P-256-1.cdf" index i using 1:2 with steps title columnheader(1)
set title "TLS (P-256): latency of a session, 20 at once"
plot for [i=0:$(($(wc -l <"$work/names") - 1))] "$work/tls-P-256-20.cdf" index i using 1:2 with steps title columnheader(1)
set key top right
set logscale y
set yrange [*:*]
set xlabel "idle sessions"
set ylabel "kB"
set title "Private memory, each idle session"
plot for [i=0:$(($(wc -l <"$work/idle.names") - 1))] "$work/idle.plot" index i using 1:2 with linespoints title columnheader(1)
EOF
}

section() { if [ -s "$out/$1" ]; then printf '\n## %s\n\n' "$2"; [ -z "${3:-}" ] || printf '%s\n\n' "$3"; cat "$out/$1"; fi; }

write_report()
{
	{
		echo '# Measured'
		echo
		echo "By \`make bench${QUICK:+ QUICK=1}\` on $(date -u +%Y-%m-%d), in one run on one machine; the contenders take turns."
		echo 'A ratio is the median of the ratios round by round, and its quartiles.'
		echo
		cat "$out/machine.md"
		echo
		echo '| target (timed: reported, not checked) | measured | limit | |'
		echo '|---|---|---|---|'
		cat "$out/targets.md" 2>/dev/null
		echo
		echo '| budget (deterministic: checked) | measured | limit | |'
		echo '|---|---|---|---|'
		cat "$out/checks.md" 2>/dev/null
		section once.md '(a) One session, standard input to exit, no listener' 'Input in a pipe or a socket before the start; two do-nothing static chains. "pinned": as "pipe", all on one processor. The server is the default build, with TLS compiled in.'
		section load.md '(b), (c) Through listeners' "All under busybox tcpsvd but those named otherwise and stunnel, which listens itself. CPU is the whole server side's, listener and children included. Latency: connect to the reply to quit. TLS 1.2, X25519, AES128-GCM, no resumption; the same certificate, chains and plain server behind every wrapper."
		section calls.md '(d) System calls beyond the floor'
		section idle.md '(e) Memory of idle sessions' 'Beyond the bare listener. Private clean pages are, for a single session, the text of its program, which a second session shares.'
		section files.md '(f) The check and set programs' "Wall time is the disk's to a good part. The copy reads and writes the file, with one fsync and two hashes (SHA-512)."
		echo
		echo '## Fairness'
		echo
		cat bench/fairness.md
		echo
		echo '## Missing in this run'
		echo "${missing:-
Nothing.}"
	} >"$out/report.md"
	if [ -z "$QUICK" ] && [ "$ONLY" = 'checks once load idle files' ]; then
		cp "$out/report.md" bench/RESULTS.md
	fi
}

trap 'exit 130' INT TERM HUP
mkdir -p "$out"
build_tools
machine >"$out/machine.md"
make_certificates
: >"$out/checks.md"
: >"$out/targets.md"
for part in checks once load idle files; do
	wants $part || continue
	case $part in
	checks) run_checks ;;
	once) run_once ;;
	load) run_load ;;
	idle) run_idle ;;
	files) run_files ;;
	esac
done
plot
write_report
sed -n '/^| target/,/^$/p;/^| budget/,/^$/p' "$out/report.md"
say "report: $out/report.md, plot: $out/report.svg"
exit $failed
