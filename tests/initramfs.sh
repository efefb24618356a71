#!/bin/sh
# sh tests/initramfs.sh [MACHINE ...]	(make initramfs): boots a machine that has nothing but the programs
# sh tests/initramfs.sh packages	(make deps-initramfs): what that needs, from Debian
#
# Debian's kernel, unpacked and not installed, in qemu without KVM, with an initramfs of busybox, the
# programs, a shadow and a passwd-file, two certificates, and a client for TLS. What goes on inside is initramfs/init;
# its verdict comes over the serial console. MACHINE is amd64 (the default), arm64 or mipsel.
# Everything stays below $CROSS (build/cross)/MACHINE/initramfs; the last line but one is how to boot it by hand.
#
# Environment: CROSS; APPEND: more words for the kernel's command line; QEMU_OPTIONS: more options.

set -u
cd "$(dirname "$0")/.." || exit 1
ME=initramfs
# shellcheck source=tests/machines.sh
. tests/machines.sh
LIMIT=600	# seconds for one boot: 20 on an idle machine
KERNELS='
amd64|linux-image-cloud-amd64|qemu-system-x86_64 -accel tcg -machine q35|ttyS0|qemu-system-x86
arm64|linux-image-cloud-arm64|qemu-system-aarch64 -machine virt -cpu cortex-a57|ttyAMA0|qemu-system-arm
mipsel|linux-image-4kc-malta|qemu-system-mipsel -machine malta -cpu 24Kf|ttyS0|qemu-system-mips
'
passed=0
failed=0
more=	# words of the kernel's command line

kernel() { echo "$KERNELS" | grep "^$1|" | cut -d '|' -f "$2"; }

packages() {
	names='cpio openssl'
	for m in "$@"; do
		names="$names $(kernel "$m" 5)"
		[ "$m" = amd64 ] || names="$names gcc-$(column "$m" 2 | tr _ -) linux-libc-dev-$m-cross"
	done
	# shellcheck disable=SC2086 # names are words
	install_packages $names
}

# The newest kernel is what Debian's nameless package depends on.
kernel_name() {
	(
		private_apt >/dev/null
		apt-cache depends "$(kernel "$1" 2):$1" | sed -n 's/.*Depends: \(linux-image-[^:]*\).*/\1/p' | sed 1q
	)
}

get_kernel() {
	name=$(kernel_name "$1")
	[ "$name" ] || fail "apt knows no $(kernel "$1" 2):$1"
	step "kernel $name" unpack "$name:$1" "$work/kernel"
}

# Sets DEPS; the programs are for the machine, busybox too.
build() {
	if [ "$1" = amd64 ]; then
		unset CC
		have musl-gcc && export CC=musl-gcc
		DEPS=$OUT/amd64/deps
		export DEPS
		step "libraries for amd64" sh tests/deps.sh libs
	else
		compiler "$1"
		libraries "$1"
	fi
	# Not where cross.sh has one for the machine that runs the tests.
	step "busybox for $1" env DEPS="$work/deps" sh tests/deps.sh busybox
	step "the client for $1" "${CC:-cc}" -std=c11 -Os -Wall -Wextra -static -Wl,--gc-sections -I"$DEPS/include" \
		-o "$work/tlsclient" tests/initramfs/tlsclient.c "$DEPS/lib/libbearssl.a"
	step "the programs for $1" make -s ${CC:+CC="$CC"} DEPS="$DEPS" BUILD="$OUT/$1/boot" TLS=1 CFLAGS=-g
}

certificate() {	# NAME OPTIONS...
	cert=$root/etc/poppass/$1
	shift
	openssl req -x509 -newkey "$@" -nodes -days 3650 -subj /CN=box.example -keyout "$cert.key" -out "$cert.crt" \
		2>>"$LOG" || fail "openssl: see $LOG"
	openssl x509 -in "$cert.crt" -outform DER -out "$cert.der"
	chmod 600 "$cert.key"
}

# users FILE REST: alice between two others, and what they are to be afterwards
users() {
	hash=$(build/deps/bin/busybox mkpasswd -m sha512 old-secret) || fail 'mkpasswd'
	printf 'root:*:%s\nalice:%s:%s\nbob:!:%s\n' "$2" "$hash" "$2" "$2" >"$root/$1"
	chmod 640 "$root/$1"
	grep -v '^alice:' "$root/$1" >"$root/etc/orig/$(basename "$1")"
}

fill() {
	rm -rf "$root" "${work:?}/bin"
	for d in bin sbin dev proc tmp etc/poppass etc/orig var/empty; do
		mkdir -p "$root/$d"
	done
	cp tests/initramfs/init "$root/init"
	cp "$work/deps/bin/busybox" "$root/bin/"
	"$strip" -o "$root/bin/tlsclient" "$work/tlsclient" || fail 'cannot strip tlsclient'
	for p in qmail-poppass checkpassword-file setpassword-file; do
		"$strip" -o "$root/sbin/$p" "$OUT/$1/boot/$p" || fail "cannot strip $p"
	done
	printf 'root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n' >"$root/etc/passwd"
	printf 'root\nalice\nbob\n' >"$root/etc/orig/names"
	users etc/shadow 19000:0:99999:7:::
	users etc/poppass/users ::::::
	certificate ec ec -pkeyopt ec_paramgen_curve:P-256
	certificate rsa rsa:2048
	chmod 755 "$root/init"
}

# pack FILE: the folder $root
pack() {
	(cd "$root" && find . | sort | cpio -o -H newc -R 0:0 --quiet) | gzip -9n >"$1"
}

size_of() {
	wc -c <"$1" | tr -d ' '
}

# The same again without busybox and the test's own client.
weigh() {
	pack "$work/initramfs.gz"
	mv "$root/bin" "$work/bin"
	pack "$work/without.gz"
	mv "$work/bin" "$root/bin"
	say "$1: initramfs of $(size_of "$work/initramfs.gz") bytes, less busybox and the client $(size_of "$work/without.gz") (gzip)"
}

qemu_command() {
	echo "$(kernel "$1" 3) -m 256 -display none -monitor none -nic none -no-reboot" \
		"-kernel $image -initrd $work/initramfs.gz"
}

# boot MACHINE WHAT [OPTION ...]
# shellcheck disable=SC2046,SC2086 # options are words
boot() {
	machine=$1
	say "$1: booting, $2"
	shift 2
	: >"$work/console"
	timeout $LIMIT $(qemu_command "$machine") "$@" ${QEMU_OPTIONS-} -serial "file:$work/console" \
		-append "console=$(kernel "$machine" 4) panic=-1 quiet $more ${APPEND-}" </dev/null >>"$LOG" 2>&1
	code=$?
	tr -d '\r' <"$work/console" | grep -aE '^(ok|not ok|#|poppass:)'
	last=$(tr -d '\r' <"$work/console" | grep -aE '^[0-9]+ passed, [0-9]+ failed$' | tail -n 1)
	case $code in
	0) ;;
	124) last="$last, but it did not power off" ;;
	*) last="$last, but qemu ended with $code" ;;
	esac
	case $last in
	[1-9]*" passed, 0 failed") passed=$((passed + ${last%% *})) ;;
	*)
		failed=$((failed + 1))
		last="FAILED: ${last:-no verdict, see $work/console}"
		;;
	esac
	say "$machine: $last"
}

other_boots() {
	boot amd64 'without a clock: 1970' -rtc base=1970-01-01T00:00:10
	# Little memory, freed pages overwritten, no security modules, no IPv6, no randomness but its own.
	more='mem=96M init_on_free=1 lsm= ipv6.disable=1 vsyscall=none random.trust_cpu=off nosmp panic=5'
	boot amd64 'another command line'
	more=
}

one() {
	work=$OUT/$1/initramfs
	root=$work/root
	strip='strip'
	[ "$1" = amd64 ] || strip=$(column "$1" 2)-strip
	mkdir -p "$work"
	packages "$1"
	get_kernel "$1"
	image=$(echo "$work"/kernel/boot/vmlinuz-*)
	build "$1"
	fill "$1"
	weigh "$1"
	boot "$1" 'with the time of day' -rtc base=utc
	[ "$1" != amd64 ] || other_boots
	say "by hand: $(qemu_command "$1" | sed "s/ -monitor none//") -serial stdio -append 'console=$(kernel "$1" 4) poppass=stay'"
}

: >"$LOG"
[ "${1-}" != packages ] || {
	packages amd64
	exit
}
[ $# -gt 0 ] || set -- amd64
for m in "$@"; do
	[ "$(kernel "$m" 1)" ] || fail "no machine $m"
	one "$m"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
