# shellcheck shell=sh disable=SC2154 # the variables of test.sh
# Every system call of a session fails in turn, as strace's inject makes it: what has to hold is in fault.c.
[ -z "${SANITIZED-}" ] || return 0	# a sanitizer has memory and system calls of its own

use fast qmail-poppass checkpassword-file setpassword-file || return 0
helper fault short
FAULT_JOBS=16	# they mostly wait

# The users' file: alice's password is OLD of fault.c.
users() {
	# shellcheck disable=SC2016 # dollars of a hash
	hash='$1$abcdefgh$DRM3lL7Ki02pe6i8d/TpC0'
	printf '%s\n' 'bob:*:1001:' "alice:$hash:1000:1000:Alice:/home/alice:" 'carol:x:1002:rest of: it' >"$T/users"
}

prepare() {
	emulated && skip 'strace would fail the system calls of the emulator'
	need strace
	strace -qq -o "$T/can" -e trace=none true 2>/dev/null || skip 'strace may not trace here'
	users
}

prepare_tls() {
	prepare
	[ "${TLS:-1}" = 1 ] || skip 'built without TLS'
	need openssl
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$T/key" -out "$T/crt" -subj /CN=localhost 2>/dev/null
}

# sessions NAME: those of $T/NAME are run; all hold, and (nearly) all meet their fault: a signal may save a wait.
sessions() {
	wanted=$(wc -l <"$T/$1")
	between "faults to try" "$wanted" 1 5000
	ok "$1" limit 300 "$BIN/fault" "$FAULT_JOBS" "$T" "$P" "$T/users" <"$T/$1" >"$T/$1.out"
	set -- "$1" "$(tail -n 1 "$T/$1.out")"
	echo "$1: $2"
	between "sessions that met their fault" "$(echo "$2" | sed 's/.*, \([0-9]*\) with.*/\1/')" $((wanted * 9 / 10)) "$wanted"
	case $2 in *' 0 bad') ;; *) head -n 60 "$T/$1.out" ;; esac
}

# faults SESSION PLACE [AWK-OPTION ...]: the faults of such a session, to standard output
faults() {
	session=$1 place=$2
	shift 2
	echo "$session $place trace" >"$T/trace"
	limit 60 "$BIN/fault" 1 "$T" "$P" "$T/users" <"$T/trace" >"$T/trace.out" || fail "a session without a fault" "$(cat "$T/trace.out")"
	# Of the relay only its own calls, without its number: it is whom the server forks.
	if [ "$place" = relay ]; then
		awk '/ clone\(.* = [0-9]+$/ { relay = $NF } $1 == relay { $1 = ""; print }' "$T/tls-relay.trace" >"$T/only"
		mv "$T/only" "$T/tls-relay.trace"
	fi
	awk -v session="$session" -v place="$place" "$@" -f tests/faults.awk "$T/$session-$place.trace"
}

# Over TLS, the server's own part: certificate, key, relay, and the calls that are others than in plain text. (Of
# a write that fails for ever nothing can be said: it is the log's, too.)
test_tls_server() {
	prepare_tls
	faults tls server >"$T/tls-server"
	sessions tls-server
}

# The relay, whose filter would kill it for strace's way of doing that: short does it.
test_tls_relay() {
	prepare_tls
	[ "$(uname -m)" = x86_64 ] || skip 'knows the registers of x86_64 only'
	faults tls relay >"$T/tls-relay"
	sessions tls-relay
}

# A wait that fails at each time, from the very first on, leaves nothing to say anything with.
test_server() {
	prepare
	faults "$1" server -v forever="$2" | grep -v 'ppoll:.*when=1+$' >"$T/server"
	sessions server
}

# The set chain has to be killed: what is new here are the calls that do it.
test_slow() {
	prepare
	faults slow server | grep -E ' (kill|wait4|vfork|clone|pipe2|close):|ppoll:error=EINTR| (read|ppoll):.*=1.$' >"$T/slow"
	sessions slow
}

# Between fork and exec, and two failures at once: the n-th call of the server and of each child.
test_all() {
	prepare
	faults good all -v few=1 >"$T/all"
	for p in checkpassword-file setpassword-file; do
		for e in ENOMEM EACCES ENOENT EAGAIN; do
			echo "good all execve:error=$e:when=1@$P/$p"
		done
	done >>"$T/all"
	sessions all
}

test_checker() {
	prepare
	{
		faults good checker
		faults wrong checker
	} >"$T/checker"
	sessions checker
}

# With a kill as one more fault of each.
test_setter() {
	prepare
	faults good setter -v forever=1 -v kill=1 >"$T/setter"
	sessions setter
}

# The judge itself: it has to see through programs that lie.
liar() {	# NAME PROGRAM SCRIPT WHAT-THE-JUDGE-SAYS
	mkdir "$T/$1"
	for p in qmail-poppass checkpassword-file setpassword-file; do ln -s "$P/$p" "$T/$1/$p"; done
	rm "$T/$1/$2"
	printf '#!/bin/sh\n%s\n' "$3" >"$T/$1/$2"
	chmod 755 "$T/$1/$2"
	echo 'good none none' | limit 60 "$BIN/fault" 1 "$T" "$T/$1" "$T/users" >"$T/$1.out"
	has "$1" "$(cat "$T/$1.out")" "$4"
	has "$1" "$(cat "$T/$1.out")" '1 bad'
}

# shellcheck disable=SC2016 # scripts
test_judge() {
	users
	liar nothing-set setpassword-file 'exit 0' 'the file has the old password'
	liar set-but-failed setpassword-file "\"$P/setpassword-file\" \"\$@\"; exit 1" 'the file has the new password'
	liar set-too-late setpassword-file "(sleep 0.2; exec \"$P/setpassword-file\" \"\$@\") & exit 1" 'the file has the new password'
	liar half-written setpassword-file 'cut -c 1-60 <"$2" >"$2.new"; mv "$2.new" "$2"' 'the file is damaged'
	liar chatty setpassword-file "echo New-Secret-2 >&2; exec \"$P/setpassword-file\" \"\$@\"" 'is in the output'
	liar orphan setpassword-file 'sleep 30 & exit 1' 'a child is left'
	liar silent qmail-poppass 'exit 0' 'nothing in the log'
	liar early qmail-poppass "sleep 0.1; printf '200 Bye.\\r\\n'" 'reply "200 Bye."'
	liar crashed qmail-poppass "echo 'qmail-poppass[1]: x' >&2; kill -SEGV \$\$" 'signal 11'
	liar wordy qmail-poppass "printf '200 mail.example.org hello, who are you?\\r\\nfoo\\r\\n'" 'reply "foo"'
}

it 'the judge of these sessions sees what is wrong' test_judge
slow 'each call of the server fails, at a change' test_server good 1
slow 'each call of the server fails, at a wrong password' test_server wrong 0
slow 'each call of the server fails, at a refused change' test_server refused 0
slow 'each call of the server fails, where a chain has to be killed' test_slow
slow 'each call of the server fails, over TLS' test_tls_server
slow 'each call of the relay fails' test_tls_relay
slow 'each call fails everywhere, from fork to exec too' test_all
slow 'each call of checkpassword-file fails' test_checker
slow 'each call of setpassword-file fails, or kills it' test_setter
