# shellcheck shell=sh
# Every wait has an end. The fast build: FAIL_DELAY 1, IDLE_TIMEOUT 3, SESSION_TIMEOUT 6,
# CHAIN_TIMEOUT 4, KILL_WAIT 1, WRITE_TIMEOUT 2, CLOSE_WAIT 1. Most tests wait beside each other.
. tests/dialogue.sh
helper client stub odd || return 0
# shellcheck disable=SC2034 # used by their names
{
	# Chains end before stub's grandchildren (3 s).
	variant_group='-DCHAIN_TIMEOUT=2 -DLOCK_TIMEOUT=1 -DFAIL_DELAY=1 -DCLOSE_WAIT=1'
	# FAIL_DELAY is not taken for CLOSE_WAIT.
	variant_hold='-DFAIL_DELAY=3 -DCLOSE_WAIT=1 -DCHAIN_TIMEOUT=4 -DLOCK_TIMEOUT=2'
	# Over before client's "times" leaves off (5 s).
	variant_writes='-DWRITE_TIMEOUT=2 -DCLOSE_WAIT=1 -DSESSION_TIMEOUT=100'
}
for v in real group hold writes fast; do
	use $v || return 0
done

SLACK=3000	# ms that a busy machine may add

# MS: for the steps took and gone. Their mark has to come before the server's clock can start: who is kept from running
# between a reply and a mark measures too little.
around() {
	echo "$(($1 - 150)) $(($1 + SLACK))"
}

change_since() {	# the clock starts with the new password
	talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" mark 'C: newpass new' "$@"
}

test_real_delay() {
	use real
	CHECK="$BIN/stub accept alice old"
	SET="$BIN/stub exit 1"
	MODE=tcp
	talk "$HELLO" 'C: user alice' "$ASK_OLD" mark 'C: pass bad' 'silent 4000' "$WRONG" "took $(around 5000)" \
		'C: user alice' "$ASK_OLD" mark 'C: pass old' "$ASK_NEW" "took 0 $AT_ONCE" mark 'C: newpass new' "$REFUSED" eof \
		"took 0 $AT_ONCE" close "gone $(around 5000)"
}
slow 'the real program: 5 s for a wrong password and for a refused change' test_real_delay

test_idle() {
	MODE=$1
	talk "$HELLO" "$TIMEOUT" eof "took $(around 3000)"
	talk "$HELLO" mark 'C: user alice' "$ASK_OLD" "$TIMEOUT" eof "took $(around 3000)"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" mark 'C: pass old' "$ASK_NEW" 'send newpass new' "$TIMEOUT" eof "took $(around 3000)"
	change_since "$CHANGED" "$TIMEOUT" eof "took $(around 3000)"
	logged 'closed rhost=[^ ]* what="timeout"'
}
slow 'IDLE_TIMEOUT at every stage, pipe' test_idle pipe
slow 'IDLE_TIMEOUT at every stage, tcp' test_idle tcp

test_trickle() {
	MODE=$1
	talk "$HELLO" 'trickle 200 user' "$TIMEOUT" eof "took $(around 3000)"
}
slow 'IDLE_TIMEOUT is for the line, not for the byte' test_trickle pipe

test_idle_restarts() {
	talk "$HELLO" 'wait 1700' 'C: foo' "$NO_USER" 'wait 1700' 'C: user alice' "$ASK_OLD" 'wait 300' 'C: quit' "$BYE" eof
}
slow 'each line has its own IDLE_TIMEOUT' test_idle_restarts

# In the fast build: three lines of less than 3 s each, 6 s in all.
test_session() {
	talk "$HELLO" 'wait 2000' 'C: foo' "$NO_USER" 'wait 2000' 'C: foo' "$NO_USER" "$TIMEOUT" eof "took $(around 6000)"
}
slow 'SESSION_TIMEOUT ends a client that keeps talking' test_session

test_session_no_cut() {
	CHECK="$BIN/stub sleep 2700 exit 0"
	SET="$BIN/stub sleep 2700 append $T/set"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'wait 1200' 'C: newpass new' "$CHANGED" \
		'took 6500 11000' mark "$TIMEOUT" eof "took 0 $AT_ONCE"
	is set "$(cat "$T/set")" 'alice old new'
}
slow 'SESSION_TIMEOUT never cuts a chain' test_session_no_cut

test_check_timeout() {
	CHECK="$BIN/stub record $T/check forever"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" mark 'C: pass old' "$TROUBLE" eof "took $(around 4000)" \
		"run ! kill -0 \$(cat $T/check.pid) 2>&1" close "gone $(around 5000)"
	logged 'trouble rhost=local user="alice" what="checkprogram [^"]+"'
}
slow 'CHAIN_TIMEOUT of the check chain, which ignores TERM' test_check_timeout

test_set_timeout() {
	SET="$BIN/stub record $T/set $*"
	change_since "$UNKNOWN" eof "took $(around 4000)" "run ! kill -0 \$(cat $T/set.pid) 2>&1" close "gone $(around 5000)"
	logged 'trouble rhost=local user="alice" what="[^"]+"'
}
slow 'CHAIN_TIMEOUT of the set chain' test_set_timeout forever
slow 'a set chain that stops itself' test_set_timeout signal 19 forever
slow 'a set chain that closed its output and hangs' test_set_timeout close forever
slow 'a set chain that prints for ever' test_set_timeout flood
slow 'a set chain that prints a line and hangs' test_set_timeout print line forever

test_group_killed() {
	SET="$BIN/stub session $T/own grandchild $T/same record $T/set forever"
	change "$UNKNOWN" eof 'wait 4000'
	[ ! -e "$T/same" ] || fail 'a process of the chain lived on'
	ok 'a process in a session of its own is not ours to kill' test -e "$T/own"
}
test_group() {
	use group
	test_group_killed
}
slow 'the group of a chain is killed at CHAIN_TIMEOUT' test_group

test_long_chain() {
	CHECK="$BIN/stub sleep 2500 exit 0"
	SET="$BIN/stub close sleep 2500 exit 0"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" mark 'C: pass old' "$ASK_NEW" "took $(around 2500)" \
		mark 'C: newpass new' "$CHANGED" "took $(around 2500)" 'C: quit' "$BYE" eof
}
slow 'chains that need their time, one with its output closed' test_long_chain

test_wrong_delay() {
	CHECK="$BIN/stub accept alice old"
	MODE=$1
	talk "$HELLO" 'C: user alice' "$ASK_OLD" mark 'C: pass bad' 'silent 500' "$WRONG" "took $(around 1000)" mark \
		'C: user alice' "$ASK_OLD" 'C: pass bad' "$WRONG" "took $(around 1000)" mark \
		'C: user alice' "$ASK_OLD" 'C: pass bad' "$WRONG" "took $(around 1000)" eof
	talk "$HELLO" 'C: user alice' "$ASK_OLD" mark 'C: pass bad' 'wait 100' close "gone $(around 1000)"
	logged 'auth failed rhost=[^ ]* user="alice"'
	talk "$HELLO" 'send user alice\npass bad\nquit\n' mark "$ASK_OLD" 'silent 800' "$WRONG" "$BYE" eof
}
slow 'FAIL_DELAY before the answer to a wrong password, pipe' test_wrong_delay pipe
slow 'FAIL_DELAY before the answer to a wrong password, tcp' test_wrong_delay tcp

# The answer comes at once, the process stays.
test_hold() {
	use hold
	MODE=$1
	how=$2
	shift 2
	SET="$BIN/stub $*"
	case $* in
	*' 111' | *nonexistent) reply=$TROUBLE ;;
	*signal*) reply=$UNKNOWN ;;
	*) reply=$REFUSED ;;
	esac
	change_since "$reply" eof "took 0 $AT_ONCE" "$how" "gone $(around 3000)" 'exit 0'
}
for m in pipe tcp; do for how in close 'wait 0'; do
	slow "the slot is held after a refusal ($m, $how)" test_hold $m "$how" exit 1
done; done
slow 'the slot is held after a refusal (tcp, reset)' test_hold tcp reset exit 1
slow 'the slot is held after 111' test_hold tcp close exit 111
slow 'the slot is held after a signal' test_hold tcp close signal 9

test_hold_sending() {
	use hold
	MODE=tcp
	SET="$BIN/stub exit 1"
	change_since "$REFUSED" eof 'trickle 100 junk' "gone $(around 3000)"
	change_since "$REFUSED" eof "times 10000000 $(repeat 1000 x)" "gone $(around 3000)"
}
slow 'the slot is held for a client that goes on sending, and no longer' test_hold_sending

test_hold_check() {
	use hold
	CHECK="$BIN/stub exit 111"
	MODE=tcp
	talk "$HELLO" 'C: user alice' "$ASK_OLD" mark 'C: pass old' "$TROUBLE" eof "took 0 $AT_ONCE" close "gone $(around 3000)"
	CHECK=/nonexistent/check
	talk "$HELLO" 'C: user alice' "$ASK_OLD" mark 'C: pass old' "$TROUBLE" eof "took 0 $AT_ONCE" close "gone $(around 3000)"
}
slow 'the slot is held after trouble of the check chain' test_hold_check

test_gone_client_held() {
	use hold
	# The command is read when the reset comes, the answer not yet given.
	CHECK="$BIN/stub sleep 1500 exit 1"
	MODE=tcp
	talk "$HELLO" 'C: user alice' "$ASK_OLD" mark 'C: pass old' 'wait 700' reset "gone $(around 4500)"
	CHECK="$BIN/stub"
	SET="$BIN/stub sleep 1500 exit 1"
	change_since 'wait 700' reset "gone $(around 4500)"
}
slow 'the slot is held for a client that left before the answer' test_gone_client_held

# Clock ticks of the server so far: waiting costs none.
test_no_spin() {
	emulated && skip 'not for an emulated program'
	[ -r /proc/self/stat ] || skip 'no /proc here'
	use hold
	# shellcheck disable=SC2016 # for the shell of client
	ticks='run awk "{ exit \$14 + \$15 > 20 }" /proc/$SERVER_PID/stat'
	SET="$BIN/stub close sleep 1500 exit 1"
	for m in pipe tcp; do
		MODE=$m
		talk "$HELLO" 'wait 1000' "$ticks" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' 'wait 1000' "$ticks" \
			"$REFUSED" eof 'wait 1000' "$ticks" close 'wait 1500' "$ticks"
		talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' close 'wait 2500' "$ticks"
	done
}
slow 'waiting takes no processor time' test_no_spin

test_close_wait() {
	for m in pipe pair tcp; do
		MODE=$m
		talk "$HELLO" mark 'C: quit' "$BYE" eof "took 0 $AT_ONCE" "gone $(around 1000)"
		talk "$HELLO" mark 'C: quit' "$BYE" eof close "gone 0 $AT_ONCE"
		talk "$HELLO" mark 'C: quit' "$BYE" eof 'trickle 50 junk' "gone $(around 1000)"
	done
}
slow 'CLOSE_WAIT for a client that does not close, none for one that does' test_close_wait

# A client that reads nothing: the replies to 600 changes do not fit what the kernel keeps.
test_never_reads() {
	MODE=$1
	OPTIONS=-b
	CHECK=/bin/true
	SET=/bin/true
	talk 'times 6000 user alice\npass old\nnewpass new\n' mark 'gone 0 28000' 'exit 0'
}
test_never_reads_long() {
	use writes
	test_never_reads "$1"
}
for m in pipe pair tcp; do
	slow "a client that never reads its replies, $m" test_never_reads_long $m
done

test_full_log() {
	ODD='odd -f'
	SET="$BIN/stub append $T/set"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED" 'C: quit' "$BYE" eof 'gone 0 9000'
	is set "$(cat "$T/set")" 'alice old new'
}
slow 'a log that nobody reads stops no session' test_full_log

test_inherited_alarm() {
	ODD='odd -a -i 14 -b 14'
	SET="$BIN/stub forever"
	change_since "$UNKNOWN" eof "took $(around 4000)"
	talk "$HELLO" "$TIMEOUT" eof "took $(around 3000)"
}
slow 'time-outs with SIGALRM ignored and blocked and an alarm running' test_inherited_alarm

test_quick() {
	SET="$BIN/stub grandchild $T/late3"
	change_since "$CHANGED" "took 0 $AT_ONCE" 'C: quit' "$BYE" eof "took 0 $AT_ONCE"
	CHECK="$BIN/stub grandchild $T/late1"
	SET="$BIN/stub print text grandchild $T/late2 exit 1"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" mark 'C: pass old' "$ASK_NEW" 'C: newpass new' "S: 500 Password change failed: text" \
		"took 0 $AT_ONCE" eof 'wait 3500'
	ok 'a grandchild is left alone' test -e "$T/late1"
	ok 'a grandchild is left alone' test -e "$T/late2"
}
slow 'a grandchild that holds the output open delays nothing and lives on' test_quick
