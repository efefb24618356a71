# shellcheck shell=sh
# Sizes: of lines, of the record, of the number of mistakes and tries, of the program itself.
. tests/dialogue.sh
helper client stub odd memgrep || return 0
use fast || return 0

X508=$(repeat 508 n)
X250=$(repeat 250 o)

# 1024 bytes are a line (though too much for a record), 1025 are not.
test_line() {
	for end in '\n' '\r\n'; do
		talk "$HELLO" "send user $(repeat 1019 x)$end" "$TOO_LONG" "send $(repeat 1024 x)$end" "$NO_USER" 'C: user alice' \
			"$ASK_OLD" "send pass $(repeat 1019 x)$end" "$TOO_LONG" 'C: quit' "$BYE" eof
		talk "$HELLO" "send user $(repeat 1020 x)$end" "$LINE_TOO_LONG" eof
		talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" "send newpass $(repeat 1017 x)$end" "$LINE_TOO_LONG" eof
	done
	talk "$HELLO" "send $(repeat 1024 x)\\r" 'silent 200' 'send \n' "$NO_USER" 'C: quit' "$BYE" eof
	talk "$HELLO" "send $(repeat 1024 x)\\rx\\n" "$LINE_TOO_LONG" eof
	talk "$HELLO" "send $(repeat 1024 x)" 'silent 200' 'send yy' "$LINE_TOO_LONG" eof
	talk "$HELLO" "send $(repeat 1023 x)\\x01\\n" "$CONTROL" 'C: quit' "$BYE" eof
}
it 'a line of 1024 bytes and one more' test_line

test_line_arrives() {
	talk "send user $(repeat 400 x)\\nquit\\n" "$HELLO" "$ASK_OLD" "$BYE" eof
	many=$(repeat 30 'user a\\npass b\\nnewpass c\\n')
	set --
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
		set -- "$@" "$ASK_OLD" "$ASK_NEW" "$CHANGED"
	done
	talk "send ${many}quit\\n" "$HELLO" "$@" "$BYE" eof
}
it 'more input at once than a line holds' test_line_arrives

# NAME OLD NEW and four NULs: 512 bytes.
test_record() {
	both_record
	talk "$HELLO" "C: user ${X508}x" "$TOO_LONG" "C: pass x" "$NO_USER" "C: user $X508" "$ASK_OLD" 'C: pass x' "$TOO_LONG" \
		'C: newpass x' "$NO_USER" 'C: user a' "$ASK_OLD" "C: pass $X508" "$TOO_LONG" 'C: quit' "$BYE" eof
	no_chain check set
	talk "$HELLO" 'C: user a' "$ASK_OLD" "C: pass ${X508#n}" "$ASK_NEW" 'C: newpass x' "$TOO_LONG" 'C: quit' "$BYE" eof
	record_is check "a\\0${X508#n}\\0\\0\\0"
	no_chain set
	rm -f "$T"/check.*
	talk "$HELLO" "C: user ${X508#n}" "$ASK_OLD" 'C: pass x' "$ASK_NEW" 'C: newpass y' "$TOO_LONG" 'C: quit' "$BYE" eof
	record_is check "${X508#n}\\0x\\0\\0\\0"
	talk "$HELLO" 'C: user 12345678' "$ASK_OLD" "C: pass $X250" "$ASK_NEW" "C: newpass ${X250}x" "$TOO_LONG" \
		'C: newpass short' "$NO_USER" 'C: user 12345678' "$ASK_OLD" "C: pass $X250" "$ASK_NEW" "C: newpass $X250" "$CHANGED"
	record_is set "12345678\\0$X250\\0\\0$X250\\0"
	is 'bytes on fd 3' "$(wc -c <"$T/set.fd3" | tr -d ' ')" 512
}
it 'a record of 512 bytes and one more, at each stage' test_record

test_long_after_short() {
	both_record
	talk "$HELLO" "C: user ${X508}x" "$TOO_LONG" 'C: user bob' "$ASK_OLD" "C: pass $X508" "$TOO_LONG" 'C: user al' "$ASK_OLD" \
		'C: pass p' "$ASK_NEW" "C: newpass $X508" "$TOO_LONG" 'C: user eve' "$ASK_OLD" 'C: pass o' "$ASK_NEW" \
		'C: newpass n' "$CHANGED"
	record_is set 'eve\0o\0\0n\0'
}
it 'nothing of what was too long is left' test_long_after_short

test_mistakes() {
	nine="foo\\r\\npass x\\nuser \\x01\\nnewpass x\\nuser\\nquit x\\n\\nuser ${X508}x\\n\\x00\\n"
	set -- "$HELLO" "send $nine" "$NO_USER" "$NO_USER" "$CONTROL" "$NO_USER" "$NO_USER" "$NO_USER" "$NO_USER" "$TOO_LONG" "$CONTROL"
	talk "$@" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED" 'C: quit' "$BYE" eof
	talk "$@" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED" 'C: foo' "$NO_USER" eof
	talk "$@" 'C: foo' "$NO_USER" eof
	talk "$@" 'send a\x01\n' "$CONTROL" eof
	talk "$@" "C: user ${X508}x" "$TOO_LONG" eof
	talk "$@" 'C: user alice' "$ASK_OLD" 'C: foo' "$NO_OLD" eof
	MODE=tcp
	talk "$@" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'send newpass\nuser bob\npass x\n' "$NO_NEW" eof
	talk "$@" 'send foo\nuser bob\npass x\nnewpass y\n' "$NO_USER" eof
}
it 'nine mistakes are forgiven, the tenth closes with its own text' test_mistakes

test_mistakes_do_not_wait() {
	talk "$HELLO" mark 'send a\na\na\na\na\na\na\na\na\na\n' "$NO_USER" "$NO_USER" "$NO_USER" "$NO_USER" "$NO_USER" "$NO_USER" \
		"$NO_USER" "$NO_USER" "$NO_USER" "$NO_USER" eof "took 0 $AT_ONCE"
}
it 'mistakes are answered at once' test_mistakes_do_not_wait

test_tries() {
	CHECK="$BIN/stub append $T/tries accept alice old"
	for m in pipe tcp; do
		MODE=$m
		rm -f "$T/tries"
		talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass bad1' "$WRONG" 'C: user alice' "$ASK_OLD" 'C: pass bad2' "$WRONG" \
			'C: user alice' "$ASK_OLD" 'C: pass bad3' "$WRONG" eof
		is "$m: tries" "$(cat "$T/tries")" 'alice bad1 
alice bad2 
alice bad3 '
		talk 'send user a\npass 1\nuser a\npass 2\nuser a\npass 3\nuser alice\npass old\nnewpass new\n' "$HELLO" "$ASK_OLD" \
			"$WRONG" "$ASK_OLD" "$WRONG" "$ASK_OLD" "$WRONG" eof
	done
}
slow 'the third wrong password closes' test_tries

# Two tries wasted, a success does not give them back.
test_tries_in_all() {
	CHECK="$BIN/stub accept alice old"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass bad' "$WRONG" 'C: user bob' "$ASK_OLD" 'C: pass old' "$WRONG" \
		'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED" \
		'C: user alice' "$ASK_OLD" 'C: pass bad' "$WRONG" eof
}
slow 'two wrong passwords, a change, a third wrong one' test_tries_in_all

# The same source with other values.
# shellcheck disable=SC2034 # used by its name
variant_lean='-DMAX_TRIES=1 -DMAX_ERRORS=2 -DFAIL_DELAY=0 -DTEMPFAIL_CODE=421 -DREASON_MAX=10 -DLINE_MAX=600'
test_knobs() {
	use lean
	CHECK="$BIN/stub accept alice old"
	SET="$BIN/stub print 1234567890abc exit 1"
	talk "$HELLO" "C: $(repeat 600 x)" "$NO_USER" 'C:' "$NO_USER" eof
	talk "$HELLO" "C: $(repeat 601 x)" "$LINE_TOO_LONG" eof
	talk "$HELLO" 'C: user alice' "$ASK_OLD" mark 'C: pass bad' "$WRONG" eof "took 0 $AT_ONCE"
	change 'S: 500 Password change failed: 1234567890' eof
	SET="$BIN/stub exit 111"
	change 'S: 421 Temporary failure, password not changed.' eof
	SET="$BIN/stub signal 9"
	change 'S: 421 Temporary failure, the password may or may not have changed.' eof
}
it 'the knobs of config.h' test_knobs

test_asserts() {
	for f in -DLINE_MAX=512 -DLOCK_TIMEOUT=30; do
		nok "a build with $f" limit 100 "${MAKE:-make}" -s BUILD="$BUILD/wrong" DEPS="$DEPS" CPPFLAGS="$f" "$BUILD/wrong/poppass.o"
	done
	rm -rf "$BUILD/wrong"
}
it 'sizes that do not fit each other do not compile' test_asserts

# What is measured on the build that users get: without TLS, with musl, optimised for size.
plain() {
	emulated && skip 'not for an emulated program'
	[ "$(uname -m)" = x86_64 ] || skip 'the numbers are for x86-64'
	case ${CC-musl-gcc} in
	*musl*) ;;
	*) skip "the numbers are for musl, not for CC=$CC" ;;
	esac
	[ "${STATIC-1}" = 1 ] || skip 'not for a dynamic program'
	[ -z "${CFLAGS-}${LDFLAGS-}" ] || skip 'not for a build with CFLAGS or LDFLAGS of its own'
	need musl-gcc
	"${MAKE:-make}" -s TLS=0 BUILD="$BUILD/plain" DEPS="$DEPS" "$BUILD/plain/qmail-poppass" >"$TMP/make.log" 2>&1 ||
		broken 'make TLS=0'
}

test_size() {
	plain
	need strip
	strip -o "$T/stripped" "$BUILD/plain/qmail-poppass"
	between 'bytes of the stripped program' "$(wc -c <"$T/stripped")" 4000 16384
	P=$T
	mv "$T/stripped" "$T/qmail-poppass"
	change "$CHANGED" 'C: quit' "$BYE" eof
}
it 'stripped, the program without TLS has 16 KiB at most (and works)' test_size

test_symbols() {
	need nm readelf
	plain
	symbols=$(nm "$BUILD/plain/qmail-poppass")
	has 'nm' "$symbols" ' T main'
	unlike 'nm' "$symbols" ' [TtWwUu] _*(malloc|calloc|realloc|free|v?f?d?s?n?printf|puts|fputs|fopen|syslog|getpwnam|getaddrinfo|system|popen|execvp|environ_alloc)(@.*)?$'
	unlike 'program headers' "$(readelf -lW "$BUILD/plain/qmail-poppass")" 'INTERP'
	unlike 'stack' "$(readelf -lW "$BUILD/plain/qmail-poppass")" 'GNU_STACK.*E'
}
it 'no malloc, free, printf in it; statically linked; no executable stack' test_symbols

test_memory() {
	[ -r /proc/self/smaps_rollup ] || skip 'no smaps_rollup here'
	plain
	P=$(absolute "$BUILD/plain")
	# Another session, or the pages of the program itself would count as private.
	export PASSWORD_COMMAND="$SET"
	bg client 'S*' "run : >$T/up" 'wait 9000' -- "$P/qmail-poppass" "$HOST" "$CHECK"
	ok 'another session' within 5 [ -e "$T/up" ]
	# shellcheck disable=SC2016 # for the shell of client
	talk "$HELLO" 'run cat /proc/$SERVER_PID/smaps_rollup >'"$T/smaps" 'C: quit' "$BYE"
	between 'private kB' "$(awk '/^Private/ { n += $2 } END { print n + 0 }' "$T/smaps")" 1 24
}
it 'an idle session has 24 kB of private memory at most' test_memory

test_core() {
	emulated && skip 'not for an emulated program'
	[ -r /proc/self/limits ] || skip 'no /proc here'
	[ "$(id -u)" != 0 ] || ODD="odd -u 65534"
	chmod 755 "$T" "$TMP" "$BIN"
	# What is not dumpable belongs to root.
	# shellcheck disable=SC2016 # for the shell of client
	talk "$HELLO" 'run cat /proc/$SERVER_PID/limits >'"$T/limits" \
		'run ls -ln /proc/$SERVER_PID/environ >'"$T/owner" 'C: quit' "$BYE"
	like 'limits' "$(cat "$T/limits")" '^Max core file size +0 +0 '
	like 'owner of /proc/PID/environ' "$(cat "$T/owner")" '^[-r]+[.+]? +[0-9]+ 0 0 '
}
it 'no core dumps, no ptrace' test_core

# Secrets are wiped as soon as they are not needed.
memory_lacks() {
	# shellcheck disable=SC2016 # for the shell of client
	printf 'run memgrep $SERVER_PID %s; test $? -eq 1' "$*"
}

test_wiped() {
	emulated && skip 'not for an emulated program'
	# shellcheck disable=SC2016 # for the shell of client
	have='run memgrep $SERVER_PID OldSecret'
	SET="$BIN/stub print no exit 1"
	MODE=tcp
	# shellcheck disable=SC2016 # the same
	talk "$HELLO" 'run memgrep $SERVER_PID main || test $? -eq 1' 'C: quit' || skip 'memory cannot be read'
	CHECK="$BIN/stub accept bob OldSecret1"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass OldSecret2' "$WRONG" "$(memory_lacks OldSecret2)" 'C: quit' "$BYE"
	CHECK="$BIN/stub"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass OldSecret' "$ASK_NEW" "$have" 'C: foo' "$NO_NEW" "$(memory_lacks OldSecret)" \
		'C: user alice' "$ASK_OLD" 'C: pass OldSecret' "$ASK_NEW" 'C: newpass NewSecret' 'S: 500 Password change failed: no' eof \
		"$(memory_lacks OldSecret NewSecret)"
	SET="$BIN/stub"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass OldSecret' "$ASK_NEW" 'C: newpass NewSecret' "$CHANGED" \
		"$(memory_lacks OldSecret NewSecret)" 'C: user bob' "$ASK_OLD" 'send user \x01CtrlSecret\n' "$CONTROL" "$(memory_lacks CtrlSecret)"\
		'C: passe TypoSecret' "$NO_USER" "$(memory_lacks TypoSecret)" 'C: quit' "$BYE"
	talk 'send user alice\npass OldSecret\nnewpass NewSecret\nquit\n' "$HELLO" "$ASK_OLD" "$ASK_NEW" "$CHANGED" "$BYE" eof \
		"$(memory_lacks OldSecret NewSecret)"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" "send pass OldSecret$(repeat 1100 x)\\n" "$LINE_TOO_LONG" eof 'wait 200' "$(memory_lacks OldSecret)"
}
it 'passwords are wiped once they are not needed' test_wiped
