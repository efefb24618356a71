# shellcheck shell=sh disable=SC2154 # the variables of dialogue.sh and test.sh
# Many clients at once through busybox tcpsvd: 10,000 sessions by 50 clients, in plain text and over TLS,
# good, wrong, cut, slow and hostile (crowd.c); and 1,000 idle connections. LOAD_SESSIONS for another number.
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

# Many idle connections from one address, which may have five: another address is served at once.
test_idle() {
	accounts 5
	export PASSWORD_COMMAND="$P/setpassword-file -f $T/users"
	listen -c 40 -C 5
	limit 60 crowd -i "$PORT" 1000 12 >"$T/idle" &
	idle=$!
	sleep 1
	between 'idle sessions' "$(children "$LISTENER" | wc -w)" 1 10
	before=$(date +%s)
	ok 'honest clients' limit 100 crowd "$PORT" 3 60 1 127.0.0.2 >"$T/honest"
	grep -e wanted -e sessions "$T/honest"
	between 'seconds for 60 sessions of 3 clients' $(($(date +%s) - before)) 0 12
	wait "$idle"
	between 'idle connections' "$(sed -n 's/ opened$//p' "$T/idle")" 1000 10000000
	ok 'no process is left' within 8 no_children "$LISTENER"
	last_passwords "$T/honest" 3
}

it "$LOAD_SESSIONS sessions by 50 clients" test_load
it '1,000 idle connections' test_idle
