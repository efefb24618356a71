# shellcheck shell=sh disable=SC1091
# A whole webmail: a browser, Roundcube as Debian has it, Dovecot, and this server under
# tcpsvd with TLS. Its password plugin is the unmodified one: "ssl://" in front of the host is
# for PHP, which then speaks TLS to the port and verifies the certificate.
. tests/room.sh
helper client || return 0
use real qmail-poppass checkpassword-file setpassword-file || return 0

ROUNDCUBE=/var/lib/roundcube/public_html
WEBMAIL=http://127.0.0.1:8000/
PICTURE=$(absolute "$BUILD")/webmail.png

# An authority of our own, and a certificate that it gives to mail.example.org.
certificate() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 3 -subj '/CN=A test authority' \
		-keyout "$T/ca-key.pem" -out "$T/ca.pem" 2>/dev/null || broken 'openssl: the authority'
	openssl req -newkey rsa:2048 -nodes -subj /CN=mail.example.org -keyout "$T/key.pem" -out "$T/request.pem" 2>/dev/null
	echo subjectAltName=DNS:mail.example.org >"$T/names"
	openssl x509 -req -days 3 -in "$T/request.pem" -CA "$T/ca.pem" -CAkey "$T/ca-key.pem" -CAcreateserial \
		-extfile "$T/names" -out "$T/cert.pem" 2>/dev/null || broken 'openssl: the certificate'
	inside sh -c 'echo 192.0.2.1 mail.example.org >>/etc/hosts'
}

# With a configuration (with the README's line), a database and logs of its own.
roundcube() {
	mkdir "$T/roundcube" "$T/roundcube/temp"
	ln -s /etc/roundcube/defaults.inc.php /etc/roundcube/mimetypes.php "$T/roundcube/"
	cat >"$T/roundcube/config.inc.php" <<-END
		<?php
		\$config['db_dsnw'] = 'sqlite:///$T/roundcube/db?mode=0600';
		\$config['imap_host'] = '127.0.0.1:143';
		\$config['des_key'] = 'twenty-four random bytes';
		\$config['log_dir'] = '$T/roundcube';
		\$config['temp_dir'] = '$T/roundcube/temp';
		\$config['language'] = 'en_US';
		\$config['plugins'] = ['password'];
		$(row Roundcube 2)
		\$config['password_pop_host'] = 'ssl://mail.example.org';
		\$config['password_confirm_current'] = true;
		\$config['password_minimum_length'] = 0;
	END
	bg_inside env "ROUNDCUBE_CONFIG_DIR=$T/roundcube" php -d "openssl.cafile=$T/ca.pem" \
		-S 127.0.0.1:8000 -t "$ROUNDCUBE"
	wait_port 8000
}

browser() {
	mkdir "$T/home"
	bg_inside env "HOME=$T/home" "TMPDIR=$T/home" chromedriver --port=4444
	wait_port 4444
}

browse() {
	checked
	inside "$BIN/nanny" 240 "$(command -v python3)" "$PWD/tests/webmail.py" 4444 go "$WEBMAIL" "$@" >"$T/browser" 2>&1 ||
		fail 'the browser' "$(cat "$T/browser"; tail -n 5 "$T/log" "$T"/roundcube/*.log 2>/dev/null)"
}

# log_in PASSWORD: words for `browse`
log_in() {
	printf '%s\n' type '#rcmloginuser' alice@example.org type '#rcmloginpwd' "$1" click '#rcmloginsubmit'
}

# change_password OLD NEW: on the page that has the form
change_password() {
	printf '%s\n' see '.header-title' 'Change password' type '#curpasswd' "$1" type '#newpasswd' "$2" type '#confpasswd' "$2" click '.formbuttons .submit'
}

# The words of the functions and the others, lines of standard input, to `browse`.
read_browse() {
	set --
	while IFS= read -r word; do set -- "$@" "$word"; done
	browse "$@"
}

test_webmail() {
	need php chromedriver chromium python3 openssl dovecot "$ROUNDCUBE/index.php" \
		/var/lib/roundcube/plugins/password/password.php /usr/share/php/Net/Socket.php
	[ "${TLS-1}" != 0 ] || skip 'a build without TLS'
	room
	certificate
	dovecot
	serve '/usr/local/sbin/checkpassword-file -f /etc/poppass/passwd' '/usr/local/sbin/setpassword-file -f /etc/poppass/passwd' \
		"CERTFILE=$T/cert.pem" "KEYFILE=$T/key.pem"
	roundcube
	browser
	rm -f "$PICTURE"
	{
		log_in "$OLD"
		printf '%s\n' reach '#taskmenu a.settings' '#settings-menu' reach '#settings-menu li.password a' '#curpasswd'
		change_password "$OLD" 'tiny 1'
		printf '%s\n' see '#messagestack .error' 'Could not save new password. Password change failed: too short (minimum 8)'
		change_password "$OLD" "$NEW"
		printf '%s\n' see '#messagestack .confirmation' 'Successfully saved.' save "$PICTURE"
		printf '%s\n' reach '#taskmenu a.logout' '#rcmloginuser' see '#messagestack' 'You have successfully terminated the session.'
		log_in "$OLD"
		printf '%s\n' see '#messagestack' 'Login failed.'
		log_in "$NEW"
		printf '%s\n' see '#layout' 'Inbox' see '.header-title.username' 'alice@example.org'
	} >"$T/words"
	read_browse <"$T/words"
	changed
	is 'a picture' "$(head -c 8 "$PICTURE" | od -An -c | tr -d ' ')" '211PNG\r\n032\n'
	like 'the log' "$(cat "$T/log")" '^qmail-poppass\[[0-9]+\]: change refused rhost=192.0.2.7 user="alice@example.org" status=1 reason="too short \(minimum 8\)"$'
	like 'the log' "$(cat "$T/log")" '^qmail-poppass\[[0-9]+\]: changed rhost=192.0.2.7 user="alice@example.org"$'
}
slow 'Roundcube, Dovecot, Chromium' test_webmail

report_pending 9999
