# Never run: there is no bitbake where this was written; a test runs its make calls with Yocto's variables.
SUMMARY = "Lets mail users change their password from the webmail (poppassd protocol)"
LICENSE = "0BSD"
LIC_FILES_CHKSUM = "file://LICENSE;md5=8aef157ce84a09df93f4eff35fab5aec"

SRC_URI = "https://example.org/releases/${BP}.tar.gz"
# make dist fills it in, in build/packaging; and the URL: make dist URL=...
SRC_URI[sha256sum] = ""

# bearssl is meta-networking's; without it: EXTRA_OEMAKE:append = " TLS=0"
DEPENDS = "bearssl virtual/crypt"

# With the class's own "-e" and OE's LDFLAGS in the environment; debug files are split off by OE.
EXTRA_OEMAKE = "-e STATIC=0 TLS=1 BEARSSL_CFLAGS= BEARSSL_LIBS=-lbearssl CRYPT_CFLAGS= CRYPT_LIBS=-lcrypt"

do_compile() {
	oe_runmake
}

do_install() {
	oe_runmake install DESTDIR=${D} PREFIX=${prefix} SBINDIR=${sbindir} MANDIR=${mandir}
	install -d ${D}${systemd_system_unitdir}
	for f in poppass.socket poppass@.service; do
		sed 's,/usr/local/sbin,${sbindir},g' ${S}/examples/systemd/$f >${D}${systemd_system_unitdir}/$f
	done
}

inherit systemd
SYSTEMD_SERVICE:${PN} = "poppass.socket"
SYSTEMD_AUTO_ENABLE = "disable"
FILES:${PN} += "${systemd_system_unitdir}/poppass@.service"
