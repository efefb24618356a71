# shellcheck shell=sh disable=SC2154 # the variables of dialogue.sh and test.sh
# Many clients at once through busybox tcpsvd: 10,000 sessions by 50 clients, in plain text and over TLS,
# good, wrong, cut, slow and hostile (crowd.c); and idle connections of six addresses and of eight.
# LOAD_SESSIONS for another number. No check here is one of speed: a slow machine passes, only later.
# shellcheck source=tests/dialogue.sh
. tests/dialogue.sh
helper client crowd || return 0
use fast qmail-poppass checkpassword-file setpassword-file || return 0
LOAD_SESSIONS=${LOAD_SESSIONS:-10000}

# The accounts user1 to userN; all have the password Start-pass-1.
accounts() {
	# shellcheck disable=SC2016 # dollars of a hash
	awk -v n="$1" 'BEGIN { while (i++ < n) print "user" i ":$1$abcdefgh$CDJOKClZrNvA3yFw59OB20:1000:1000::/:" }' >"$T/users"
}

listening() {
	grep -q "$(printf ':%04X ' "$PORT")" /proc/net/tcp &&
		LISTENER=$(cat "/proc/$BG/task/$BG/children") && LISTENER=${LISTENER%% *} && [ "$LISTENER" ]
}

# The server under tcpsvd with these options: PORT, and LISTENER, tcpsvd's process.
listen() {
	need 'busybox tcpsvd'
	PORT=$(client -p)
	bg busybox tcpsvd "$@" -v 127.0.0.1 "$PORT" "$P/qmail-poppass" "$HOST" "$P/checkpassword-file" -f "$T/users" 2>>"$T/log"
	within 5 listening || { fail 'tcpsvd does not listen' "$(cat "$T/log")"; exit 1; }
}

children() { cat "/proc/$1/task/$1/children"; }
no_children() { [ -z "$(children "$1")" ]; }
descriptors() { find "/proc/$1/fd" -type l | wc -l; }
memory() { awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"; }

# Each client's last password is the one that its account has.
last_passwords() {
	n=0
	while read -r name password; do
		case $name in user*) ;; *) continue ;; esac
		printf '%s\0%s\0\0\0' "$name" "$password" >"$T/record"
		ok "$name's last password" "$P/checkpassword-file" -f "$T/users" 3<"$T/record"
		n=$((n + 1))
	done <"$1"
	is 'accounts' "$n" "$2"
}

test_load() {
	accounts 55
	export PASSWORD_COMMAND="$P/setpassword-file -f $T/users"
	listen -c 60
	plain=$PORT plain_pid=$LISTENER tls_pid=
	fds=$(descriptors "$LISTENER")
	many=40 plain_sessions=$((LOAD_SESSIONS * 9 / 10))
	if [ "${TLS:-1}" = 1 ] && command -v openssl >/dev/null 2>&1; then
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$T/key" -out "$T/crt" -subj "/CN=$HOST" 2>/dev/null
		export CERTFILE="$T/crt" KEYFILE="$T/key"
		listen -c 60
		unset CERTFILE KEYFILE
		tls_pid=$LISTENER
		limit 280 crowd -t "$PORT" 10 $((LOAD_SESSIONS / 10)) 41 >"$T/tls" &
		crowd_pid=$!
	else
		many=50 plain_sessions=$LOAD_SESSIONS
	fi
	ok 'some to warm up' limit 280 crowd "$plain" 5 100 51 >"$T/warm"
	size=$(memory "$plain_pid")
	ok 'the plain crowd' limit 280 crowd "$plain" $many "$plain_sessions" 1 >"$T/plain"
	if [ "$tls_pid" ]; then ok 'the TLS crowd' wait "$crowd_pid"; fi
	for f in plain tls; do [ ! -e "$T/$f" ] || { tail -n 1 "$T/$f"; grep wanted "$T/$f" | head -n 20; }; done
	for p in $plain_pid $tls_pid; do
		ok 'no process is left' within 8 no_children "$p"
		is 'descriptors of the listener' "$(descriptors "$p")" "$fds"
	done
	between 'memory of the listener in KB' "$(memory "$plain_pid")" 1 $((size + 64))
	is 'files left' "$(find "$T" -name 'users*' | sort | tr '\n' ' ')" "$T/users $T/users.lock "
	cat "$T/plain" "$T/tls" >"$T/both" 2>/dev/null
	last_passwords "$T/both" 50
	unlike 'no secret in the log' "$(cat "$T/log")" 'Start-pass|Pass-[0-9]|Never-to'
	unlike 'only outcomes that were wanted' "$(grep -v 'client: error \(104\|32\)"$' "$T/log")" 'trouble|error [0-9]+"$'
}

# How many slots were ever taken at once.
slots() { sed -n 's,^tcpsvd: status \([0-9]*\)/.*,\1,p' "$T/log" | sort -n | tail -n 1; }
taken() { [ "$(slots)" -ge "$1" ]; }

# idle_crowd CONNECTIONS HOSTS SESSIONS: so many connections of so many addresses say nothing, and those that are
# closed come again, while three clients of another address change passwords.
idle_crowd() {
	accounts 5
	export PASSWORD_COMMAND="$P/setpassword-file -f $T/users"
	listen -c 40 -C 5
	limit 250 crowd -i "$PORT" "$1" "$2" >"$T/idle" &
	idle=$!
	ok 'all are tried' within 20 grep -q "^$1 opened" "$T/idle"
	ok 'the slots are taken' within 20 taken $(($2 * 5))
	before=$(date +%s)
	ok 'honest clients' limit 200 crowd "$PORT" 3 "$3" 1 127.0.0.2 >"$T/honest"
	grep -e wanted -e sessions "$T/honest"
	echo "in $(($(date +%s) - before)) s"
	ok 'the attack went on all the time' kill "$idle"
	ok 'no process is left' within 20 no_children "$LISTENER"
	last_passwords "$T/honest" 3
}

# Six addresses have no more than five slots each: some stay free.
test_idle() {
	idle_crowd 1000 6 60
	between 'slots that were taken' "$(slots)" 31 35
}

# Eight take them all: who waits gets one that IDLE_TIMEOUT frees.
test_full() {
	idle_crowd 60 8 15
	is 'slots that were taken' "$(slots)" 40
}

it "$LOAD_SESSIONS sessions by 50 clients" test_load
it '1,000 idle connections of six addresses' test_idle
it 'all slots taken by idle connections of eight addresses' test_full
