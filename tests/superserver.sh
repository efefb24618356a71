# shellcheck shell=sh
# Through a real listener: busybox tcpsvd.
. tests/dialogue.sh
helper client stub odd || return 0
use fast || return 0

listen() {	# ADDRESS OPTIONS... : the server under tcpsvd, with $CHECK and $SET; its port in PORT
	need 'busybox tcpsvd'
	address=$1
	shift
	export PASSWORD_COMMAND="$SET"
	PORT=$(client -p)
	# shellcheck disable=SC2086 # words
	bg busybox tcpsvd -v "$@" "$address" "$PORT" "$P/qmail-poppass" "$HOST" $CHECK 2>"$T/log"
	within 5 grep -q 'listening' "$T/log" || { fail 'tcpsvd does not listen' "$(cat "$T/log")"; exit 1; }
}

test_session() {
	both_record
	listen 127.0.0.1
	ok 'session' client -c "127.0.0.1:$PORT" "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED" \
		'C: quit' "$BYE" eof
	record_is set 'alice\0old\0\0new\0'
	is 'descriptors' "$(grep -c '^fd' "$T/set.state")" 4
	like 'descriptor 2' "$(cat "$T/set.state")" '^fd 2 file'
	within 10 grep -q changed "$T/log"
	like 'log' "$(cat "$T/log")" '^qmail-poppass\[[0-9]+\]: changed rhost=127\.0\.0\.1 user="alice"$'
	within 10 grep -q 'end.*exit' "$T/log"
	like 'exit code' "$(cat "$T/log")" ' end .*exit.* 0'
}
it 'a session' test_session

test_no_environment() {
	listen 127.0.0.1 -E
	ok 'session' client -c "127.0.0.1:$PORT" "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED"
	within 10 grep -q changed "$T/log"
	like 'log' "$(cat "$T/log")" '^qmail-poppass\[[0-9]+\]: changed rhost=127\.0\.0\.1 user="alice"$'
}
it 'without its variables (-E)' test_no_environment

test_ipv6() {
	grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null || skip 'there is no ::1 here'
	listen ::1
	ok 'session' client -c "::1:$PORT" "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED"
	within 10 grep -q changed "$T/log"
	like 'log' "$(cat "$T/log")" '^qmail-poppass\[[0-9]+\]: changed rhost=::1 user="alice"$'
}
it 'over IPv6' test_ipv6

# Twenty sessions that are open at the same time, each with its own names and passwords.
twenty() {
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		limit 100 client -c "127.0.0.1:$PORT" "$HELLO" 'wait 300' "C: user user$i" "$ASK_OLD" 'wait 100' "C: pass old-secret-$i" "$ASK_NEW" 'wait 100' \
			"C: newpass new-secret-$i" "$CHANGED" 'C: quit' "$BYE" eof >"$T/out$i" 2>&1 || fail "client $i" "$(cat "$T/out$i")" &
		PIDS="${PIDS-} $!"
	done
	# shellcheck disable=SC2086 # words
	wait $PIDS
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		is "lines in the log about user$i" "$(grep -c "^qmail-poppass\[[0-9]*\]: changed rhost=127.0.0.1 user=\"user$i\"\$" "$T/log")" 1
	done
}

test_twenty() {
	CHECK="$BIN/stub append $T/check"
	SET="$BIN/stub sleep 300 append $T/set"
	listen 127.0.0.1 -c 40
	start=$(date +%s)
	twenty
	between 'seconds, one after the other would take 16' $(($(date +%s) - start)) 0 15
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do echo "user$i old-secret-$i new-secret-$i"; done | sort >"$T/want"
	sort "$T/set" >"$T/got"
	same 'what the set chains got' "$T/got" "$T/want"
}
it '20 clients at once, each with its own account' test_twenty

test_twenty_file() {
	use fast checkpassword-file setpassword-file
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		echo "user$i:$(hash "old-secret-$i"):extra$i"
	done >"$T/users"
	CHECK="$P/checkpassword-file -f $T/users /bin/false"
	SET="$P/setpassword-file -f $T/users /bin/false"
	use fast
	listen 127.0.0.1 -c 40
	twenty
	is 'lines of the file' "$(cut -d: -f1,3 "$T/users" | tr '\n' ' ')" \
		"$(for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do printf 'user%s:extra%s ' $i $i; done)"
	# The new passwords are good, the old ones are not.
	for i in 1 20; do
		ok "user$i, new password" client -c "127.0.0.1:$PORT" "$HELLO" "C: user user$i" "$ASK_OLD" "C: pass new-secret-$i" "$ASK_NEW"
		ok "user$i, old password" client -c "127.0.0.1:$PORT" "$HELLO" "C: user user$i" "$ASK_OLD" "C: pass old-secret-$i" "$WRONG"
	done
}

hash() {
	openssl passwd -5 "$1"
}

if [ -e backends/file.c ] && use fast checkpassword-file setpassword-file; then
	it '20 clients at once with the bundled programs' test_twenty_file
fi

# The slot is held: with one at a time, guessing goes at the rate of FAIL_DELAY even if the client leaves.
test_rate() {
	CHECK="$BIN/stub accept alice old"
	listen 127.0.0.1 -c 1
	start=$(date +%s)
	for i in 1 2 3; do
		ok "guess $i" client -c "127.0.0.1:$PORT" "$HELLO" 'C: user alice' "$ASK_OLD" "C: pass guess$i" 'wait 500' reset
	done
	ok 'the right one' client -c "127.0.0.1:$PORT" "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW"
	between 'seconds for three guesses' $(($(date +%s) - start)) 3 12
}
it 'tcpsvd -c 1: guesses wait for FAIL_DELAY though the client leaves' test_rate

test_unix_socket() {
	need python3
	cat >"$T/listen.py" <<-'EOT'
		import os, signal, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.bind(sys.argv[1])
		s.listen(5)
		signal.signal(signal.SIGCHLD, signal.SIG_IGN)
		while True:
		    c, _ = s.accept()
		    if os.fork() == 0:
		        os.dup2(c.fileno(), 0)
		        os.dup2(c.fileno(), 1)
		        os.set_inheritable(c.fileno(), True)
		        os.execv(sys.argv[2], sys.argv[2:])
		    c.close()
	EOT
	cat >"$T/connect.py" <<-'EOT'
		import socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		f = s.makefile("rb")
		print(f.readline())
		for line in (b"user alice", b"pass old", b"newpass new", b"quit"):
		    s.sendall(line + b"\n")
		    print(f.readline())
		print(f.read())
	EOT
	both_record
	export PASSWORD_COMMAND="$SET"
	# shellcheck disable=SC2086 # words
	bg python3 "$T/listen.py" "$T/socket" "$P/qmail-poppass" "$HOST" $CHECK 2>"$T/log"
	within 5 test -S "$T/socket"
	is 'replies' "$(python3 "$T/connect.py" "$T/socket")" "b'200 $HOST hello, who are you?\\r\\n'
b'200 Your password please.\\r\\n'
b'200 Your new password please.\\r\\n'
b'200 Password changed, thank-you.\\r\\n'
b'200 Bye.\\r\\n'
b''"
	record_is set 'alice\0old\0\0new\0'
	is 'descriptors' "$(grep -c '^fd' "$T/set.state")" 4
	logged 'changed rhost=local user="alice"'
}
it 'a Unix socket, with SIGCHLD ignored and the connection left open elsewhere' test_unix_socket
