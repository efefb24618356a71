# Never run in a Buildroot tree: a test runs its build and install steps with Buildroot's variables.
################################################################################
#
# qmail-poppass
#
################################################################################

QMAIL_POPPASS_VERSION = 1.0
QMAIL_POPPASS_SOURCE = qmail-poppass-$(QMAIL_POPPASS_VERSION).tar.gz
QMAIL_POPPASS_SITE = https://example.org/releases
QMAIL_POPPASS_LICENSE = 0BSD
QMAIL_POPPASS_LICENSE_FILES = LICENSE

# glibc's crypt(3) is a library, of libxcrypt in newer trees; musl and uClibc have it inside.
QMAIL_POPPASS_MAKE_OPTS = \
	STATIC=$(if $(BR2_STATIC_LIBS),1,0) \
	CRYPT_CFLAGS= \
	CRYPT_LIBS=$(if $(BR2_TOOLCHAIN_USES_GLIBC),-lcrypt)

ifeq ($(BR2_PACKAGE_LIBXCRYPT),y)
QMAIL_POPPASS_DEPENDENCIES += libxcrypt
endif

ifeq ($(BR2_PACKAGE_QMAIL_POPPASS_TLS),y)
QMAIL_POPPASS_DEPENDENCIES += bearssl
QMAIL_POPPASS_MAKE_OPTS += TLS=1 BEARSSL_CFLAGS= BEARSSL_LIBS=-lbearssl
else
QMAIL_POPPASS_MAKE_OPTS += TLS=0
endif

define QMAIL_POPPASS_BUILD_CMDS
	$(TARGET_MAKE_ENV) $(MAKE) $(TARGET_CONFIGURE_OPTS) -C $(@D) $(QMAIL_POPPASS_MAKE_OPTS)
endef

define QMAIL_POPPASS_INSTALL_TARGET_CMDS
	$(TARGET_MAKE_ENV) $(MAKE) $(TARGET_CONFIGURE_OPTS) -C $(@D) $(QMAIL_POPPASS_MAKE_OPTS) \
		DESTDIR=$(TARGET_DIR) PREFIX=/usr install
endef

$(eval $(generic-package))
