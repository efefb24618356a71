# The part of prove.sh that is poppass.c: the whole server, with any relay for TLS. About two minutes.
# WP sees memory once more in another way (raw) for next_line, where a pointer becomes a length.
# shellcheck shell=sh

# The values of these calls are kept apart afterwards.
returns=waitpid:-1:0,pipe2:0,reap:0,getrandom:16,configure:0,split_command:0,look_up:0,make_pipe:0,open_pipe:0,open_null:-1
# How many states are followed side by side, where the 10 of the others is not right.
levels=put_escaped:0,put:0,put_byte:0,server_main:20,parse_ipv4:0,parse_group:0,parse_ipv6:0,take_literal:0
levels=$levels,put_ipv6:300,reap:100,run:50,kill_chain:50,split_command:200
proofs=await,look_up,variable,take_variable,find,milliseconds,set_left,write_some,write_all,put_byte,put,receive,fill
proofs=$proofs,take_text,code_length,contains,reason,next_line,drop_line,mistake,has_control,begins,argument
proofs=$proofs,add_field,obey,take_from_environment,take_with_port,is_blank,split_word,server_main,count_work
proofs=$proofs,is_digit,parse_ipv4,parse_group,parse_ipv6,take_literal

annotate ../../poppass.c
eva server "-DTLS=1 -DVERSION='\"1\"'" -main prove -eva-slevel 10 \
	-eva-slevel-function $levels -eva-split-limit 2000 -eva-split-return-function $returns
wp server -wp-fct $proofs -then -wp-fct next_line -wp-model Typed+raw
judge
