# The part of prove.sh that is bearssl_glue.c: loaders, relay, signer and -t, over any BearSSL that keeps
# to its documentation. Under a minute. WP sees the functions of casts once more with pointers that may
# be cast (Typed+cast): they take bytes as void, and what the bytes are does not matter there.
# shellcheck shell=sh

# As in server.sh.
returns=waitpid:-1:0,read_file:0,load_key:0,load_chain:0,next_block:0,choose:0,pipe2:0,socketpair:0,reap:0
returns=$returns,br_ec_compute_pub:0
levels=decode:0,copy_text:100,run_filter:100,reap:100
proofs=any,fails,succeeds,shutdown,alarm,poll,refuse,refuse_errno,copy_text,in_range,digit,is_space,grant,br_ssl_engine_current_state,br_ssl_engine_sendrec_buf
proofs=$proofs,br_ssl_engine_recvrec_buf,br_ssl_engine_sendapp_buf,br_ssl_engine_recvapp_buf
proofs=$proofs,read_to_end,find,next_block,has_label,decode,skip_zeros,add_certificate,load_chain,decode_certificate
proofs=$proofs,is_key,is_encrypted,decode_key,is_equal,multiply,rsa_matches,collect,send_flight,from_client,to_server
proofs=$proofs,from_server,step,run,may_retry,on_established,days_of,put_date
casts=wipe,forget,read_bytes

annotate ../../bearssl_glue.c
[ -f ../../build/deps/include/bearssl.h ] || { echo 'prove: no headers of BearSSL (make deps)' >&2; exit 1; }
eva glue '-DTLS=1 -I../../build/deps/include' -main prove -eva-slevel 10 -eva-slevel-function $levels \
	-eva-split-limit 2000 -eva-interprocedural-splits -eva-unroll-recursive-calls 12 \
	-eva-split-return-function $returns
wp glue -wp-timeout 30 -wp-fct $proofs -then -wp-fct $casts -wp-model Typed+cast
judge
