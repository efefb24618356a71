# shellcheck shell=sh
# The client's address in the log: from the super-server's variables, else from the socket.
. tests/dialogue.sh
helper client stub odd || return 0
use fast || return 0

# The rhost of a session with these variables. "V=" is an empty one.
rhost() {	# WANT V=TEXT ...
	want=$1
	shift
	export PASSWORD_COMMAND="$SET"
	checked
	# shellcheck disable=SC2086 # words
	client -m "$MODE" $OPTIONS 'S*' 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED" 'C: quit' "$BYE" -- \
		env "$@" "$P/qmail-poppass" "$HOST" "$CHECK" 2>"$T/log" || fail "$*: session"
	is "$* over $MODE" "$(sed 's/^[^:]*: //' "$T/log")" "changed rhost=$want user=\"alice\""
}

test_variables() {
	for v in TCPREMOTEIP TCP6REMOTEIP SSLREMOTEIP TCPREMOTEADDR REMOTE_ADDR REMOTE_HOST; do
		rhost 192.0.2.7 $v=192.0.2.7
		rhost 2001:db8::1 $v=2001:db8::1
		rhost 192.0.2.7 $v=::ffff:192.0.2.7
		rhost local $v=
		rhost local $v=0.0.0.0
		rhost local $v=mail.example.org
	done
}
it 'each variable' test_variables

test_proto() {
	rhost 192.0.2.1 PROTO=TCP6 TCP6REMOTEIP=192.0.2.1 TCPREMOTEIP=192.0.2.2
	rhost 192.0.2.1 PROTO=SSL SSLREMOTEIP=192.0.2.1 TCPREMOTEIP=192.0.2.2
	rhost 192.0.2.1 PROTO=FOO FOOREMOTEIP=192.0.2.1 TCPREMOTEIP=192.0.2.2
	rhost 192.0.2.2 PROTO=FOO FOOREMOTEIP=0.0.0.0 TCPREMOTEIP=192.0.2.2
	rhost 192.0.2.2 PROTO=FOO TCPREMOTEIP=192.0.2.2
	rhost 192.0.2.2 PROTO= TCPREMOTEIP=192.0.2.2
	rhost 192.0.2.2 PROTO="$(repeat 5000 X)" TCPREMOTEIP=192.0.2.2
	rhost local PROTO=UNIX
}
it 'PROTO' test_proto

test_precedence() {
	set -- TCPREMOTEIP=192.0.2.1 TCP6REMOTEIP=192.0.2.2 SSLREMOTEIP=192.0.2.3 'TCPREMOTEADDR=192.0.2.4:1' \
		REMOTE_ADDR=192.0.2.5 REMOTE_HOST=192.0.2.6
	n=1
	while [ $# -gt 0 ]; do
		rhost 192.0.2.$n "$@"
		first=${1%%=*}
		last=$1
		shift
		rhost local "$first=0.0.0.0"
		[ $# -eq 0 ] || rhost 192.0.2.$((n + 1)) "$first=unknown" "$@"
		n=$((n + 1))
	done
	is 'the last one' "$last" REMOTE_HOST=192.0.2.6
}
it 'the order of the variables' test_precedence

test_busybox() {
	rhost 192.0.2.7 TCPREMOTEADDR=192.0.2.7:43210
	rhost 2001:db8::1 'TCPREMOTEADDR=[2001:db8::1]:43210'
	rhost ::1 'TCPREMOTEADDR=[::1]:1'
	rhost 192.0.2.7 'TCPREMOTEADDR=[::ffff:192.0.2.7]:43210'
	rhost local 'TCPREMOTEADDR=[2001:db8::1'
	rhost local TCPREMOTEADDR=0.0.0.0:0
	rhost local TCPREMOTEADDR=example.org:80
	rhost local 'TCPREMOTEADDR=[]:1'
}
it 'the form of busybox: with a port' test_busybox

test_literal() {
	for text in 192.0.2 192.0.2.256 192.0.2.1.1 192.0.2.1x ' 192.0.2.1' '192.0.2.1 ' 192.0..1 .192.0.2.1 -1.2.3.4 1.2.3.4. \
		2001:db8 2001:db8:::1 g::1 2001:db8::12345 1:2:3:4:5:6:7:8:9 1:2:3:4:5:6:7 : ::1::2 :1 '1:2:3:4:5:6:7:8:' 1:2:3:4:5:6:7:8:: \
		unknown softfail 127.1 '"' '1.2.3.4"' 'a"b' '192.0.2.1 user="root"' "$(printf '192.0.2.1\nx')" "$(repeat 300 1)" \
		"$(repeat 60 :)" "$(repeat 100 '1.')"; do
		rhost local "TCPREMOTEIP=$text" "REMOTE_HOST=$text"
	done
	for text in :: ::1 1:: 1:2:3:4:5:6:7:8 fe80::1 2001:db8:1:2:3:4:5:6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 1::8 255.255.255.255 \
		1.2.3.4 0.0.0.1; do
		rhost $text TCPREMOTEIP=$text
	done
}
it 'literal addresses only' test_literal

test_socket() {
	MODE=tcp
	rhost 127.0.0.1 A=1
	rhost 127.0.0.1 TCPREMOTEIP=0.0.0.0
	rhost 192.0.2.1 TCPREMOTEIP=192.0.2.1
	for m in pipe pair unix; do
		MODE=$m
		rhost local A=1
		rhost 192.0.2.1 TCPREMOTEIP=192.0.2.1
	done
}
it 'from the socket: IPv4, Unix, pipe' test_socket

test_socket6() {
	grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null || skip 'there is no ::1 here'
	MODE=tcp6
	rhost ::1 A=1
	MODE=tcp46
	rhost 127.0.0.1 A=1
}
it 'from the socket: IPv6, and IPv4 on an IPv6 socket' test_socket6

test_gone() {
	MODE=tcp
	OPTIONS=-g
	CHECK="$BIN/stub record $T/check"
	# The address is known, the client gone all the same.
	export TCPREMOTEIP=192.0.2.1
	talk 'gone 0 1500' 'exit 0'
	no_chain check
	unset TCPREMOTEIP
	talk 'gone 0 1500' 'exit 0'
	no_chain check
	# Nor is the configuration looked at.
	HOST='a b'
	talk 'gone 0 1500' 'exit 0'
}
it 'a client that has gone' test_gone
