# shellcheck shell=sh disable=SC2034 # sourced by run.sh and tests/size.sh
# What the server may cost, on x86-64 with musl; deterministic, so exceeding one fails.
SIZE_PLAIN=16384	# bytes, stripped
SIZE_TLS=106496
SIZE_TLS_WANTED=98304	# said, not checked
PRIVATE_PLAIN=24	# kB of an idle session
PRIVATE_TLS=80		# both processes
