# shellcheck shell=sh disable=SC1003 # backslashes before quotes
# The lines of the log: their form, hostile text, nothing of them to the client.
. tests/dialogue.sh
helper client stub odd || return 0
# shellcheck disable=SC2034 # used by its name
variant_brisk='-DFAIL_DELAY=0 -DCHAIN_TIMEOUT=2 -DLOCK_TIMEOUT=1 -DIDLE_TIMEOUT=2'
use fast || return 0
use brisk || return 0

export TCPREMOTEIP=203.0.113.9

# As talk, with every write to the log looked at (client -l).
session() {
	OPTIONS="-l $T/lines"
	talk "$@"
	mv "$T/lines" "$T/log"
}

events() {	# WANT: the lines of the server without their beginning
	is 'the events' "$(sed -n 's/^qmail-poppass\[[0-9][0-9]*\]: //p' "$T/log")" "$1"
}

test_lines() {
	CHECK="$BIN/stub accept alice@example.org old"
	SET="$BIN/stub print too-short exit 1"
	session "$HELLO" 'C: user bob' "$ASK_OLD" 'C: pass old' "$WRONG" 'C: user alice@example.org' "$ASK_OLD" 'C: pass bad' "$WRONG" \
		'C: user alice@example.org' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' 'S: 500 Password change failed: too-short'
	events 'auth failed rhost=203.0.113.9 user="bob"
auth failed rhost=203.0.113.9 user="alice@example.org"
change refused rhost=203.0.113.9 user="alice@example.org" status=1 reason="too-short"'
	SET="$BIN/stub"
	session "$HELLO" 'C: user alice@example.org' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED" \
		'C: user alice@example.org' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED"
	events 'changed rhost=203.0.113.9 user="alice@example.org"
changed rhost=203.0.113.9 user="alice@example.org"'
	CHECK="$BIN/stub exit 111"
	session "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$TROUBLE"
	events 'trouble rhost=203.0.113.9 user="alice" what="checkprogram exit 111"'
}
it 'changed, auth failed, change refused, trouble' test_lines

test_refused_forms() {
	SET="$BIN/stub exit 3"
	session "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$REFUSED"
	like 'the log' "$(cat "$T/log")" '^[^:]*: change refused rhost=203\.0\.113\.9 user="alice" status=3( reason="")?$'
	SET="$BIN/stub print 553-really\\r\\nno\\n exit 1"
	session "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' 'S: 500 Password change failed: really'
	events 'change refused rhost=203.0.113.9 user="alice" status=1 reason="really"'
}
it 'a refusal without and with text' test_refused_forms

test_trouble_forms() {
	for what in 'signal 11' 'forever' 'exit 111'; do
		CHECK="$BIN/stub $what"
		session "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$TROUBLE"
		like "check: $what" "$(cat "$T/log")" '^qmail-poppass\[[0-9]+\]: trouble rhost=203\.0\.113\.9 user="alice" what="checkprogram [^"]+"$'
		is "check: $what: lines" "$(wc -l <"$T/log" | tr -d ' ')" 1
		CHECK="$BIN/stub"
		SET="$BIN/stub $what"
		session "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' 'S*'
		like "set: $what" "$(cat "$T/log")" '^qmail-poppass\[[0-9]+\]: trouble rhost=203\.0\.113\.9 user="alice" what="[^"]+"$'
		is "set: $what: lines" "$(wc -l <"$T/log" | tr -d ' ')" 1
	done
}
it 'trouble: signals, time-outs, 111' test_trouble_forms

test_pid() {
	session "$HELLO" "pid $T/pid" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED"
	is 'the beginning' "$(cut -d: -f1 "$T/log")" "qmail-poppass[$(cat "$T/pid")]"
}
it 'the process number' test_pid

test_after_exec_failure() {
	CHECK=$T/nonexistent
	session "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$TROUBLE"
	like 'the log' "$(cat "$T/log")" "^qmail-poppass.* rhost=203\.0\.113\.9 .*$T/nonexistent"
	CHECK=$BIN/stub
	SET=/$(repeat 400 x)
	session "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$TROUBLE"
	like 'the log' "$(cat "$T/log")" '^qmail-poppass.* rhost=203\.0\.113\.9 .*xxx'
	SET=/$(printf 'a"b\001\\')
	session "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$TROUBLE"
	sane
}
it 'programs that cannot be executed, with long and odd paths' test_after_exec_failure

# Every line printable ASCII, its quoted texts without bare quotes or backslashes.
sane() {
	lines=$(cat "$T/log")
	is 'bytes outside printable ASCII' "$(tr -d ' -~\n' <"$T/log" | wc -c | tr -d ' ')" 0
	is 'lines of another form' "$(grep -Ev '^qmail-poppass\[[0-9]+\]: [a-z]+( [a-z]+)? rhost=[0-9.]+( [a-z]+=([0-9]+|"([^"\\]|\\.)*"(\.\.\.)?))+$' "$T/log")" ''
	is 'lines over 200 bytes' "$(awk 'length > 199' "$T/log")" ''
	between 'lines' "$(echo "$lines" | wc -l)" 1 20
}

# The text in quotes after user=, dots included.
user_of() {
	sed -n 's/.* user="\(.*\)".*/\1/p' "$T/log" | sed 's/" .*//' | head -n 1
}

name() {	# NAME as for send
	session "$HELLO" "send user $1\\n" "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED"
	sane
}

test_names() {
	name 'a"b'
	unlike 'a quote' "$(cat "$T/log")" 'user="a"b"'
	name 'a\\\\b'
	name '\\\\'
	name '"'
	name 'x" rhost=1.2.3.4 user="root'
	name '\t'
	name 'k\xc3\xb6nig'
	name '\xff\x80'
	name 'a b  c'
	like 'spaces' "$(cat "$T/log")" 'user="a b  c"$'
	name ' '
	name '%s%n%x'
	like 'percent' "$(cat "$T/log")" 'user="%s%n%x"$'
	name "$(repeat 500 x)"
	name "$(repeat 500 '"')"
	name "$(repeat 500 '\xff')"
}
it 'hostile names' test_names

test_name_length() {
	for n in 63 64; do
		x=$(repeat $n x)
		name "$x"
		like "$n bytes" "$(cat "$T/log")" "user=\"$x\"\$"
	done
	x64=$(repeat 64 x)
	for n in 65 66 100 500; do
		name "$(repeat $n x)"
		like "$n bytes" "$(cat "$T/log")" "user=\"$x64\.\.\.\"\$"
	done
	# Escapes count as they are written, and are not cut in two.
	for n in 60 61 62 63 64; do for c in '"' '\\\\' '\xff' '\t'; do
		name "$(repeat $n x)$c"
		u=$(user_of)
		case $u in
		*...) between "$n and $c: $u" "${#u}" $((n + 3)) 67 ;;
		*) between "$n and $c: $u" "${#u}" $((n + 2)) 64 ;;
		esac
	done; done
		name "$(repeat 16 '"')"
	is '16 quotes' "$(user_of | sed 's/\\x22/q/g; s/\\"/q/g')" "$(repeat 16 q)"
}
it 'names are cut at 64 escaped bytes' test_name_length

reason() {	# TEXT as for stub
	SET="$BIN/stub print '$1' exit 1"
	session "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass %old%' "$ASK_NEW" 'C: newpass %new%' 'S*'
	sane
}

test_reasons() {
	reason 'a\x01b\n'
	reason 'a"b'
	like 'a quote' "$(cat "$T/log")" ' reason="a\\("|x22|042)b"$'
	reason 'a\\\\b'
	reason '\xff\xfe'
	reason "$(repeat 128 x)"
	reason "$(repeat 128 '"')"
	reason "$(repeat 400 '\\\\')"
	CHECK="$BIN/stub"
	name=$(repeat 300 '"')
	SET="$BIN/stub print $(repeat 128 y) exit 255"
	session "$HELLO" "C: user $name" "$ASK_OLD" 'C: pass %old%' "$ASK_NEW" 'C: newpass %new%' 'S*'
	sane
	like 'both are there' "$(cat "$T/log")" 'user=".*\.\.\." status=255 reason="yyy'
	export TCPREMOTEIP=ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
	session "$HELLO" "C: user $name" "$ASK_OLD" 'C: pass %old%' "$ASK_NEW" 'C: newpass %new%' 'S*'
	is 'lines over 200 bytes' "$(awk 'length > 199' "$T/log")" ''
	like 'the address comes first' "$(cat "$T/log")" '^[^"]* rhost=ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff user="'
}
it 'hostile and long reasons' test_reasons

test_no_password() {
	: >"$T/all"
	CHECK="$BIN/stub accept alice@example.org OldSecret"
	for s in '' 'print OldSecret exit 1' 'print NewSecret exit 1' 'print xNewSecrety exit 111' 'new exit 1' 'old exit 3' \
		'print "a NewSecret" signal 9'; do
		SET="$BIN/stub $s"
		talk "$HELLO" 'C: user alice@example.org' "$ASK_OLD" 'C: pass BadSecret' "$WRONG" 'C: user alice@example.org' "$ASK_OLD" \
			'C: pass OldSecret' "$ASK_NEW" 'C: newpass NewSecret' 'S*' 'close'
		cat "$T/log" >>"$T/all"
	done
	talk "$HELLO" 'C: user alice@example.org' "$ASK_OLD" 'C: passe OldSecret' "$NO_OLD" 'C: newpass NewSecret' "$NO_USER" \
		'send user alice\x01NewSecret\n' "$CONTROL" 'C: OldSecret' "$NO_USER" "C: pass OldSecret$(repeat 2000 x)" "$LINE_TOO_LONG"
	cat "$T/log" >>"$T/all"
	like 'the log' "$(cat "$T/all")" 'auth failed'
	unlike 'the log' "$(cat "$T/all")" 'Secret'
}
it 'never a password' test_no_password

test_name_as_password() {
	CHECK="$BIN/stub exit 1"
	session "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass alice' "$WRONG"
	events 'auth failed rhost=203.0.113.9 user="alice"'
}
it 'a failed attempt with the name as its password' test_name_as_password

# The signal for a file at its limit killed the server at the line "changed": no reply to a change that was made.
test_log_full() {
	printf 'user a\npass b\nnewpass c\nquit\n' | (
		ulimit -f 0
		PASSWORD_COMMAND='/bin/true' exec "$P/qmail-poppass" h /bin/true 2>"$T/full"
	) | tr -d '\r' | cat >"$T/replies"
	is 'replies' "$(sed 's/ .*//' "$T/replies" | tr '\n' ' ')" '200 200 200 200 200 '
	is 'the log' "$(cat "$T/full")" ''
}
it 'the log is a file at its limit' test_log_full

## fd 2 is the client

test_inetd() {
	OPTIONS=-2
	CHECK="$BIN/stub err check-speaks\\n accept alice old"
	SET="$BIN/stub err set-speaks\\n print no exit 1"
	for m in tcp unix pair; do
		MODE=$m
		talk "$HELLO" 'C: user bob' "$ASK_OLD" 'C: pass old' "$WRONG" 'silent 200' 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" \
			'C: newpass new' 'S: 500 Password change failed: no' eof
	done
	CHECK=/nonexistent/check
	talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$TROUBLE" eof
	HOST='a b'
	talk "$CONFIG" eof close 'exit 100'
	HOST=h CHECK=
	talk "$CONFIG" eof close 'exit 100'
	SET=
	talk "$CONFIG" eof close 'exit 100'
}
it 'as under inetd: nothing of the log and of the chains reaches the client' test_inetd

test_inetd_descriptor() {
	OPTIONS=-2
	MODE=tcp
	both_record
	change "$CHANGED" 'C: quit' "$BYE" eof
	for c in check set; do
		fd2=$(grep '^fd 2' "$T/$c.state")
		like "$c" "$fd2" '^fd 2 (null|socket) '
		is "$c: descriptors" "$(grep -c '^fd' "$T/$c.state")" 4
	done
}
it 'as under inetd: descriptor 2 of the chains' test_inetd_descriptor

# /dev/log in a /dev that only these processes see.
test_inetd_syslog() {
	[ "$(id -u)" = 0 ] || skip 'needs root'
	need unshare mount python3
	unshare -m true 2>/dev/null || skip 'unshare is not allowed here'
	cat >"$T/syslog.py" <<-'EOT'
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind("/dev/log")
		open(sys.argv[1] + ".ready", "w").close()
		s.settimeout(20)
		out = open(sys.argv[1], "ab", 0)
		while True:
		    m = s.recv(4096)
		    out.write(b"[" + m + b"]\n")
	EOT
	cat >"$T/run" <<-'EOT'
		mkdir "$T/dev" &&
		mount --bind /dev "$T/dev" &&
		mount -t tmpfs none /dev &&
		: >/dev/null &&
		mount --bind "$T/dev/null" /dev/null || exit 9
		python3 "$T/syslog.py" "$T/messages" &
		until [ -e "$T/messages.ready" ]; do sleep 0.05; done
		exec "$P/qmail-poppass" "$HOST" "$BIN/stub"
	EOT
	export T P HOST BIN PASSWORD_COMMAND="$SET"
	checked
	limit 60 client -m tcp -2 "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED" 'C: quit' "$BYE" eof -- \
		unshare -m sh "$T/run" || fail 'session'
	like 'what /dev/log got' "$(cat "$T/messages")" 'qmail-poppass\[[0-9]+\]: changed rhost=203\.0\.113\.9 user="alice"'
}
it 'as under inetd: /dev/log gets the lines' test_inetd_syslog

test_other_socket() {
	emulated && skip 'the emulator does not know SO_COOKIE'
	need python3
	cat >"$T/run.py" <<-'EOT'
		import os, socket, subprocess, sys
		a, b = socket.socketpair()
		status = subprocess.call(sys.argv[2:], stderr=b.fileno(), close_fds=True)
		b.close()
		open(sys.argv[1], "wb").write(a.makefile("rb").read())
		sys.exit(status)
	EOT
	export PASSWORD_COMMAND="$SET"
	checked
	client -m tcp "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED" 'C: quit' "$BYE" eof close -- \
		python3 "$T/run.py" "$T/log" "$P/qmail-poppass" "$HOST" "$CHECK" || fail 'session'
	events 'changed rhost=203.0.113.9 user="alice"'
}
it 'descriptor 2 is a socket, but not the client: it stays' test_other_socket

unset TCPREMOTEIP
