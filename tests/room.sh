# shellcheck shell=sh disable=SC2016,SC2034 # its variables are for the groups
# What the groups real-* share: a machine of its own for a test (room-in.sh), a user in a
# passwd-file, and the change that every client and super-server has to manage.

. tests/dialogue.sh

OLD='old secret'
NEW='new secret'
# {SHA512-CRYPT}, few rounds, of $OLD
OLD_HASH='{SHA512-CRYPT}$6$rounds=1000$abcdefghijklmnop$vBod/rDJzBnoxRwENhYsw4w4fCmOEi.E1h/7ZupPGWBRrqIG2FXyyWCAfgCKVK5Gk6KFihE2AG4yu8oc6nehh.'

need_unpacked() {
	[ -d "$DEPS/$1" ] && return
	[ "${CI-}" = true ] && broken "no $DEPS/$1: make deps-real"
	skip "$1 is not unpacked: make deps-real"
}

room() {
	need unshare nsenter mount 'busybox tcpsvd'
	[ "$(id -u)" = 0 ] || skip 'needs root, for a mount and a network namespace'
	unshare -mnu true 2>/dev/null || skip 'no namespaces here'
	mkdir "$T/sbin"
	cp "$P/qmail-poppass" "$P/checkpassword-file" "$P/setpassword-file" "$T/sbin/"
	chmod 755 "$T"
	bg unshare -mnu sh tests/room-in.sh "$T"
	within 60 test -e "$T/pid" || broken 'the room is not ready'
	ROOM=$(cat "$T/pid")
	printf '%s:%s::::::\n' alice@example.org "$OLD_HASH" alice "$OLD_HASH" | inside sh -c 'cat >/etc/poppass/passwd'
}

# The working directory is /. With -r, for in a chroot / is that of the room, not of the machine.
# `bg inside COMMAND ...` is bg_inside COMMAND ..., for bg wants a program.
bg_inside() {
	bg nsenter -t "$ROOM" -r -m -n -u -- "$@"
}

inside() {
	nsenter -t "$ROOM" -r -m -n -u -- "$@"
}

# A file of examples/, with what `sed` is to change in it, to a path inside.
put() {
	from=examples/$1
	to=$2
	shift 2
	sed -e '' "$@" "$from" | inside sh -c "mkdir -p '$(dirname "$to")' && cat >'$to'"
	case $(head -c 2 "$from") in
	'#!') inside chmod 755 "$to" ;;
	esac
}

listens() {
	inside busybox netstat -ltn | grep -q "[:.]$1 "
}

wait_port() {
	within 30 listens "$1" || broken "nothing listens on port $1"
}

# The client's side of a change, over TCP: visit ADDRESS:PORT STEP ...
visit() {
	at=$1
	shift
	checked
	inside "$BIN/nanny" 60 "$BIN/client" -c "$at" "$@" || fail "the session with $at"
}

a_change() {
	visit "$1" 'S*' 'C: user alice@example.org' "$ASK_OLD" 'C: pass guess' "$WRONG" \
		'C: user alice@example.org' "$ASK_OLD" "C: pass $OLD" "$ASK_NEW" "C: newpass $NEW" "$CHANGED" 'C: quit' "$BYE" eof
}

# The log of a_change: logged FILE RHOST
logged() {
	within 30 inside grep -q ': changed ' "$1"
	log=$(inside cat "$1")
	like 'a wrong password in the log' "$log" "qmail-poppass\\[[0-9]+\\]: auth failed rhost=$2 user=\"alice@example.org\""
	like 'a change in the log' "$log" "qmail-poppass\\[[0-9]+\\]: changed rhost=$2 user=\"alice@example.org\"\$"
	hasnt 'log' "$log" "$OLD"
	hasnt 'log' "$log" "$NEW"
}

changed() {
	nok 'the hash is a new one' inside grep -qF "alice@example.org:$OLD_HASH:" /etc/poppass/passwd
}

# A shell's words that wait for a file.
until_there() {
	echo "until test -e '$1'; do sleep 0.05; done"
}

# So many connections are held until $T/release is there: hold ADDRESS:PORT NUMBER
hold() {
	n=0
	while [ $n -lt "$2" ]; do
		n=$((n + 1))
		bg_inside "$BIN/client" -c "$1" 'S*' "run touch $T/held$n" "run $(until_there "$T/release")" 'C: quit' 'S*'
		within 30 test -e "$T/held$n" || broken "no connection $n"
	done
}

# A third one waits for its turn.
third_waits() {
	hold "$1" 2
	visit "$1" 'silent 1000' "run touch $T/release" 'S*' 'C: quit' "$BYE" eof
}

# A third one is told so, or is just closed.
third_gets() {
	hold "$1" 2
	at=${1%:*}
	is 'the third connection' "$(inside "$BIN/nanny" 20 "$(command -v busybox)" nc "$at" "${1##*:}" </dev/null 2>/dev/null)" "$2"
	: >"$T/release"
}

SERVER=192.0.2.1

# serve CHECK SET [VARIABLE=VALUE ...]: on port 106 of $SERVER inside, the log in $T/log
serve() {
	check=$1 set=$2
	shift 2
	# shellcheck disable=SC2086 # words
	bg_inside env "LOG=$T/log" "PASSWORD_COMMAND=$set" "$@" sh -c 'exec "$@" 2>>"$LOG"' sh \
		"$(command -v busybox)" tcpsvd "$SERVER" 106 /usr/local/sbin/qmail-poppass host $check
	within 30 inside busybox nc -z "$SERVER" 106 || broken 'no listener'
}

# What is quoted first in a column of the README's table, in the row that begins so: row START COLUMN
row() {
	cell=$(awk -F ' *[|] *' -v start="$1" -v column="$2" 'index($2, start) == 1 { print $(column + 1); exit }' README)
	[ "$cell" ] || broken "the README has no row $1"
	printf '%s\n' "$cell" | sed 's/^[^`]*`//; s/`.*//'
}

# From one password to another: from_to NAME OLD NEW [REPLY]
from_to() {
	visit 192.0.2.1:106 'S*' "C: user $1" "$ASK_OLD" "C: pass $2" "$ASK_NEW" "C: newpass $3" "${4:-$CHANGED}"
}

# IMAP for the users of the passwd-file.
dovecot() {
	need doveadm dovecot
	inside sh -c 'cat >/etc/dovecot/dovecot.conf' <<-END
		protocols = imap
		listen = 127.0.0.1
		ssl = no
		disable_plaintext_auth = no
		service anvil {
		  unix_listener anvil-auth-penalty {
		    mode = 0
		  }
		}
		log_path = /var/log/dovecot.log
		mail_location = maildir:/var/vmail/%u
		auth_failure_delay = 0
		mail_max_userip_connections = 100
		passdb {
		  driver = passwd-file
		  args = /etc/poppass/passwd
		}
		userdb {
		  driver = static
		  args = uid=1500 gid=1500 home=/var/vmail/%u
		}
	END
	inside sh -c 'mkdir -p /var/vmail && chown 1500:1500 /var/vmail'
	bg_inside dovecot -F
	wait_port 143
}

# imap NAME PASSWORD ...: OK or NO for each.
imap() {
	inside "$BIN/nanny" 60 "$(command -v python3)" "$PWD/tests/imap.py" "$@" 2>&1
}
