# shellcheck shell=sh disable=SC2089,SC2090 # quotes in PASSWORD_COMMAND are text
# What a chain is given, what its end means, what becomes of its text.
. tests/dialogue.sh
helper client stub odd || return 0
# The slot is not held after a refusal, of which there are many here.
# shellcheck disable=SC2034 # used by its name
variant_brisk='-DFAIL_DELAY=0 -DCHAIN_TIMEOUT=10 -DLOCK_TIMEOUT=2'
use brisk || return 0

## What a chain is given

test_record() {
	both_record
	change "$CHANGED"
	record_is check 'alice\0old\0\0\0'
	record_is set 'alice\0old\0\0new\0'
}
it 'fd 3: NAME OLD and four NULs for the check chain, the new password too for the set chain' test_record

# What the stub saw, without the line that a test compares on its own.
state() {
	grep -v -e '^parent' -e '^cwd' -e '^umask' "$T/$1.state"
}

test_state() {
	MODE=$1
	both_record
	expected='fd 0 null r
fd 1 pipe w
fd 2 file w
fd 3 pipe r
session own
group own
alarm none
core 0'
	change "$CHANGED"
	is 'check' "$(state check | sed 's/^fd 0 null .*/fd 0 null r/')" "$expected"
	is 'set' "$(state set | sed 's/^fd 0 null .*/fd 0 null r/')" "$expected"
	is 'cwd' "$(grep cwd "$T/set.state")" "cwd $(pwd -P)"
	is 'umask' "$(grep umask "$T/set.state")" "umask $(umask | sed 's/.*\(...\)$/\1/')"
}
it 'four descriptors, default signals, a session of its own (pipe)' test_state pipe
it 'four descriptors, default signals, a session of its own (tcp)' test_state tcp

test_inherited() {
	# 13 PIPE, 14 ALRM, 17 CHLD, 1 HUP, 10 USR1
	ODD='odd -i 13 -i 14 -i 17 -b 1 -b 10 -b 13 -b 14 -b 17 -a -o 3 -o 4 -o 5 -o 9 -o 100 -o 900 -h'
	emulated && ODD='odd -i 13 -i 14 -i 17 -b 1 -b 10 -b 13 -b 14 -b 17 -a'
	for m in pipe tcp; do
		test_state $m
		ok "$m: the dialogue of test_state" test -e "$T/set.pid"
	done
	CHECK="$BIN/stub accept alice bad"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$WRONG" 'C: quit' "$BYE" eof
	CHECK="$BIN/stub"
	SET="$BIN/stub signal 13"
	change "$UNKNOWN" eof
}
it 'inherited: signals ignored and blocked, an alarm, descriptors, children' test_inherited

test_no_close_range() {
	need strace
	emulated && skip 'no strace of an emulated program'
	strace -f -o /dev/null true 2>/dev/null || skip 'strace is not allowed here'
	both_record
	ODD="odd -o 3 -o 7 -o 60 -n 1024 strace -o $T/trace -e inject=close_range:error=ENOSYS"
	change "$CHANGED"
	like 'the trace' "$(cat "$T/trace")" 'close_range.*ENOSYS'
	is 'descriptors' "$(grep -c '^fd' "$T/set.state")" 4
}
it 'an old kernel without close_range' test_no_close_range

test_environment() {
	both_record
	export KEEP='a  b' TCPREMOTEIP=192.0.2.1 REMOTE_HOST=x
	change "$CHANGED"
	for c in check set; do
		env=$(cat "$T/$c.env")
		like "$c" "$env" '^KEEP=a  b$'
		like "$c" "$env" '^TCPREMOTEIP=192\.0\.2\.1$'
		like "$c" "$env" '^REMOTE_HOST=x$'
		like "$c" "$env" '^PASSWORD_COMMAND='
		is "$c: words of it that came from nowhere" "$(echo "$env" | cut -d= -f1 | while read -r v; do
			env | grep -q "^$v=" || echo "$v"
		done | grep -v '^_$')" ''
	done
}
it 'the environment is passed on' test_environment

test_arguments() {
	export PASSWORD_COMMAND="$BIN/stub record $T/set"
	ok 'session' client 'S*' 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED" -- \
		"$P/qmail-poppass" "$HOST" "$BIN/stub" record "$T/check" print '' print 'a b' print '"x"' print -t
	is 'check' "$(cat "$T/check.args")" "$BIN/stub
record
$T/check
print

print
a b
print
\"x\"
print
-t"
	is 'set' "$(cat "$T/set.args")" "$BIN/stub
record
$T/set"
}
it 'the arguments of a chain, verbatim' test_arguments

test_order() {
	both_record
	talk "$HELLO" 'C: user alice' 'run test ! -e '"$T/check.pid" "$ASK_OLD" 'C: pass old' "$ASK_NEW" \
		'run test -e '"$T/check.pid" 'run test ! -e '"$T/set.pid" 'C: newpass new' "$CHANGED" 'run test -e '"$T/set.pid"
}
it 'the check chain runs at pass, the set chain at newpass' test_order

test_stderr() {
	CHECK="$BIN/stub err check-says\\n"
	SET="$BIN/stub err set-says\\n print out exit 1"
	change "$REFUSED_WHY out" eof
	like 'log' "$(cat "$T/log")" '^check-says$'
	like 'log' "$(cat "$T/log")" '^set-says$'
}
it 'standard error of a chain goes to the log' test_stderr

## Its end

checked_as() {	# REPLY LOG CHECK ...: the check chain at its end
	reply=$1
	log=$2
	shift 2
	CHECK=$*
	SET="$BIN/stub record $T/set"
	set -- "$HELLO" 'C: user alice' "$ASK_OLD" mark 'C: pass old' "$reply"
	case $reply in
	"$ASK_NEW") talk "$@" "took 0 $AT_ONCE" ;;
	"$WRONG") talk "$@" 'C: user bob' "$ASK_OLD" 'C: quit' "$BYE" eof ;;
	*) talk "$@" eof "took 0 $AT_ONCE" ;;
	esac
	[ -z "$log" ] || logged "$log"
	no_chain set
}

test_check_exits() {
	checked_as "$ASK_NEW" '' "$BIN/stub" exit 0
	checked_as "$WRONG" 'auth failed rhost=local user="alice"' "$BIN/stub" exit 1
	checked_as "$TROUBLE" 'trouble rhost=local user="alice" what="checkprogram exit 111"' "$BIN/stub" exit 111
	for code in 2 100 126 127 255; do
		checked_as "$WRONG" "auth failed rhost=local user=\"alice\" .*$code.*" "$BIN/stub" exit $code
	done
}
slow 'exit codes of the check chain' test_check_exits

test_check_signals() {
	for sig in 1 2 6 9 11 13 14 15; do
		checked_as "$TROUBLE" "trouble rhost=local user=\"alice\" what=\"checkprogram [^\"]*${sig}[^\"]*\"" "$BIN/stub" signal $sig
	done
}
slow 'a check chain that dies by a signal' test_check_signals

test_check_output() {
	checked_as "$ASK_NEW" '' "$BIN/stub" print 'denied\n' exit 0
	checked_as "$WRONG" '' "$BIN/stub" print '454-failed\r\n' exit 1
	checked_as "$TROUBLE" '' "$BIN/stub" print text exit 111
	checked_as "$ASK_NEW" '' "$BIN/stub" fill 1000000 exit 0
	checked_as "$WRONG" '' "$BIN/stub" fill 1000000 exit 1
}
slow 'the output of the check chain is dropped' test_check_output

test_check_output_no_reason() {
	CHECK="$BIN/stub print secret-of-check\\n sleep 200 exit 0"
	SET="$BIN/stub exit 1"
	change "$REFUSED" eof
	SET="$BIN/stub print x exit 1"
	change "$REFUSED_WHY x" eof
	SET="$BIN/stub exit 0"
	change "$CHANGED" 'C: quit' "$BYE" eof
}
slow 'the output of the check chain is no reason of the set chain' test_check_output_no_reason

make_odd_programs() {
	printf 'no program\n' >"$T/text"
	chmod 755 "$T/text"
	printf '#!/bin/sh\nexit 0\n' >"$T/not-executable"
	chmod 644 "$T/not-executable"
	printf '#!/nonexistent/sh\nexit 0\n' >"$T/no-interpreter"
	chmod 755 "$T/no-interpreter"
	mkdir "$T/folder"
	NOT_PROGRAMS="$T/nonexistent $T/text $T/not-executable $T/no-interpreter $T/folder $T/text/x"
}

test_check_not_executed() {
	make_odd_programs
	emulated && NOT_PROGRAMS=$T/nonexistent
	for prog in $NOT_PROGRAMS; do
		checked_as "$TROUBLE" 'trouble rhost=local user="alice" what="[^"]+"' "$prog"
		like 'the log' "$(cat "$T/log")" "^qmail-poppass.*$prog"
	done
	like 'the log has the error' "$(cat "$T/log")" 'ot a directory|o such file|error (20|2)[^0-9]'
}
slow 'a check chain that cannot be executed: its path and the error are in the log' test_check_not_executed

set_as() {	# REPLY LOG SET
	SET=$3
	rm -f "$T"/set.*
	change mark "$1" "took 0 $AT_ONCE" "${4-eof}"
	[ -z "$2" ] || logged "$2"
}

test_set_exits() {
	set_as "$CHANGED" 'changed rhost=local user="alice"' "$BIN/stub exit 0" 'C: quit'
	for code in 1 2 100 110 112 126 127 128 255; do
		set_as "$REFUSED" "change refused rhost=local user=\"alice\" status=$code.*" "$BIN/stub exit $code"
	done
	set_as "$TROUBLE" 'trouble rhost=local user="alice" what="[^"]*111"' "$BIN/stub exit 111"
	set_as "$TROUBLE" 'trouble rhost=local user="alice" what="[^"]*111"' "$BIN/stub print text exit 111"
}
it 'exit codes of the set chain' test_set_exits

test_set_signals() {
	for sig in 1 2 6 9 11 13 14 15; do
		set_as "$UNKNOWN" "trouble rhost=local user=\"alice\" what=\"[^\"]*${sig}[^\"]*\"" "$BIN/stub print text signal $sig"
	done
}
it 'a set chain that dies by a signal' test_set_signals

test_set_not_executed() {
	make_odd_programs
	emulated && NOT_PROGRAMS=$T/nonexistent
	for prog in $NOT_PROGRAMS; do
		set_as "$TROUBLE" 'trouble rhost=local user="alice" what="[^"]+"' "$prog"
		like 'the log' "$(cat "$T/log")" "^qmail-poppass.*$prog"
	done
}
it 'a set chain that cannot be executed' test_set_not_executed

# shellcheck disable=SC2016 # the point
test_no_shell() {
	checked_as "$TROUBLE" '' "$T/x;touch" "$T/evil"
	CHECK=$BIN/stub
	set_as "$TROUBLE" '' "$T/x;touch\$HOME $T/evil"
	SET="$BIN/stub record $T/set \$HOME \`id\` *"
	rm -f "$T"/set.*
	talk "$HELLO" 'C: user $(touch x)' "$ASK_OLD" 'C: pass `id`' "$ASK_NEW" 'C: newpass ;' 'S*'
	is 'arguments' "$(tail -n 3 "$T/set.args")" '$HOME
`id`
*'
}
it 'no shell, no PATH, no variables' test_no_shell

test_customs() {
	for how in /bin/true /bin/false; do
		CHECK="$BIN/stub exec $how"
		SET="$BIN/stub exec $how"
		[ -x $how ] || skip "there is no $how"
	done
	CHECK="$BIN/stub exec $BIN/stub exec /bin/true"
	SET=$CHECK
	change "$CHANGED"
	SET="$BIN/stub exec $BIN/stub exec /bin/false"
	change "$REFUSED" eof
	CHECK=$SET
	talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$WRONG"
}
it 'a chain of several programs: the last status counts' test_customs

test_no_leak() {
	[ -d /proc/self/fd ] || skip 'no /proc here'
	emulated && skip 'not for an emulated program'
	SET="$BIN/stub print text"
	set -- "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED" \
		"run ls /proc/\$SERVER_PID/fd >$T/before"
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		set -- "$@" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED"
	done
	# shellcheck disable=SC2016 # for the shell of client
	talk "$@" 'run ls /proc/$SERVER_PID/fd >'"$T/fds; "'ps -o stat= --ppid $SERVER_PID >'"$T/children; :" 'C: quit' "$BYE" eof
	is 'descriptors after ten more changes' "$(tr '\n' ' ' <"$T/fds")" "$(tr '\n' ' ' <"$T/before")"
	between 'descriptors' "$(wc -l <"$T/fds")" 3 4
	is 'children' "$(cat "$T/children")" ''
}
it 'changes leave no descriptor and no child behind' test_no_leak

## The reason

why() {	# WHAT TEXT [REASON]: what the set chain prints, what the client is told
	export PASSWORD_COMMAND="$BIN/stub print '$2' exit 1"
	want=$REFUSED
	[ $# -lt 3 ] || want="$REFUSED_WHY $3"
	checked
	client 'S*' "C: user alice" 'S*' "C: pass ${OLD:-old}" 'S*' "C: newpass ${NEW:-new}" "$want" eof close -- \
		"$P/qmail-poppass" "$HOST" "$BIN/stub" 2>>"$T/log" || fail "$1"
}

X128=$(repeat 128 x)

test_reason_text() {
	OLD='#1' NEW='#2'
	why 'a line' 'too short\n' 'too short'
	why 'no line end' 'too short' 'too short'
	why 'two lines' 'too short\nreally\n' 'too short'
	why 'CR LF' 'too short\r\nmore\r\n' 'too short'
	why 'nothing' ''
	why 'an empty line' '\n'
	why 'an empty line first' '\nmore\n'
	why 'CR LF alone' '\r\n'
	why 'spaces inside' 'a  b' 'a  b'
	why 'percent, quotes and backslash' '%s "x" \\ %n' '%s "x" \ %n'
}
slow 'the reason is the first line' test_reason_text

test_reason_code() {
	OLD='#1' NEW='#2'
	why 'code' '553 Sorry, this account cannot change password (#5.7.1)\r\n' 'Sorry, this account cannot change password (#5.7.1)'
	why 'code-' '454-failed to connect\r\n454 later\r\n' 'failed to connect'
	why 'a code and nothing' '553 \n'
	why 'a code and nothing' '553-\r\n'
	why 'no code: four digits' '5534 x\n' '5534 x'
	why 'no code: two digits' '55 x\n' '55 x'
	why 'no code: colon' '553: x\n' '553: x'
	why 'no code: letters' 'abc x\n' 'abc x'
	why 'no code: elsewhere' 'x 553 y\n' 'x 553 y'
	why 'one code of two' '553 454 x\n' '454 x'
}
slow 'a reply code in front of the reason is dropped' test_reason_code

test_reason_bytes() {
	OLD='#1' NEW='#2'
	why 'control bytes' 'a\x01b\tc\x7fd\x1be\n' 'a?b?c?d?e'
	why 'CR inside' 'a\rb\n' 'a?b'
	why 'NUL' 'a\0b\n' 'a?b'
	why '8 bit' 'zu k\xc3\xbcrz\xff\n' 'zu k??rz?'
	why 'printable' 'a~ !z\n' 'a~ !z'
	why 'UTF-8 only' '\xc3\xbc\n' '??'
}
slow 'bytes outside printable ASCII become ?' test_reason_bytes

test_reason_length() {
	OLD='#1' NEW='#2'
	why '128 bytes' "$X128\\n" "$X128"
	why '129 bytes' "${X128}y\\n" "$X128"
	why '128 bytes without line end' "$X128" "$X128"
	why '128 bytes after a code' "553 $X128\\n" "$X128"
	why '129 bytes after a code' "553-${X128}y\\n" "$X128"
	why '3000 bytes' "$(repeat 3000 x)\\n" "$X128"
	why '128 bytes and CR' "$X128\\r\\n" "$X128"
}
slow 'the reason is cut at 128 bytes' test_reason_length

test_reason_password() {
	OLD=Old-Secret NEW=New-Secret
	why 'new' 'New-Secret: it is too short\n'
	why 'old' 'bad: Old-Secret'
	why 'inside a word' 'xNew-Secretx\n'
	why 'after a code' '553 New-Secret\n'
	why 'after a NUL' 'a\0New-Secret\n'
	why 'after a control byte' 'a\x01Old-Secret\n'
	why 'at the cut' "$(repeat 123 x)New-Secret\\n"
	why 'not in it' 'New-Secre Old-Secre\n' 'New-Secre Old-Secre'
	OLD=abc NEW=xyz
	why 'in the second line' 'fine\nxyz\n' 'fine'
	# The code was taken off before the comparison, which left "word" of this password to be shown.
	OLD='553 word' NEW=xyz
	why 'a password that begins like a code' '553 word\n'
}
slow 'a reason with a password in it is left out' test_reason_password

test_reason_password_odd() {
	OLD=o NEW='zu k'
	why 'one letter' 'no\n'
	why 'with a space' 'das ist zu kurz\n'
	OLD=' ' NEW='a  b'
	why 'a space' 'too short\n'
	export PASSWORD_COMMAND="$BIN/stub print 'BAD PASSWORD: ' new print ' is bad' exit 1"
	ok '8 bit' client 'S*' 'C: user a' 'S*' 'C: pass o' 'S*' 'send newpass k\xc3\xbcrz\n' "$REFUSED" eof -- \
		"$P/qmail-poppass" "$HOST" "$BIN/stub" 2>>"$T/log"
	unlike 'log' "$(cat "$T/log")" 'BAD|zu k'
}
slow 'passwords that are short, or with spaces or 8-bit bytes' test_reason_password_odd

test_megabyte() {
	SET="$BIN/stub fill 1000000 exit 1"
	change mark "$REFUSED_WHY $X128" eof "took 0 $AT_ONCE"
	SET="$BIN/stub fill 1000000 exit 0"
	change mark "$CHANGED" "took 0 $AT_ONCE"
	SET="$BIN/stub print one\\n fill 1000000 exit 1"
	change mark "$REFUSED_WHY one" eof "took 0 $AT_ONCE"
}
slow 'a megabyte of text' test_megabyte

test_pieces() {
	export PASSWORD_COMMAND="$BIN/stub print too sleep 200 print ' ' sleep 200 print short\\n sleep 100 exit 1"
	ok 'session' client 'S*' 'C: user alice' 'S*' 'C: pass old' 'S*' 'C: newpass new' \
		"$REFUSED_WHY too short" eof -- "$P/qmail-poppass" "$HOST" "$BIN/stub"
}
slow 'a reason in pieces' test_pieces

test_text_then_success() {
	SET="$BIN/stub print 'text' exit 0"
	change "$CHANGED" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED"
}
slow 'text with a success is dropped' test_text_then_success

test_fd3_unread() {
	CHECK=/bin/true
	SET=/bin/true
	[ -x /bin/true ] || skip 'there is no /bin/true'
	change "$CHANGED"
	talk "$HELLO" 'C: user 12345678' "$ASK_OLD" "C: pass $(repeat 250 o)" "$ASK_NEW" "C: newpass $(repeat 250 n)" "$CHANGED"
}
it 'chains that never read fd 3' test_fd3_unread
