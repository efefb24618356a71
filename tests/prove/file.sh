# The part of prove.sh that is backends/file.c: checkpassword-file and setpassword-file, each as a
# whole. Two minutes. WP takes look_up's goals apart, for they are large.
# shellcheck shell=sh

# The values of these calls are kept apart afterwards.
returns=fstat:0,stat:0,fstatat:0,fstatfs:0,clock_gettime:0,any_stat:0,pipe:0,pipe2:0,getrlimit:0,prlimit:0
returns=$returns,split_field:0:1,split_line:0,open_regular:-1,any_fd:-1
# How many states are followed side by side, where the 20 of the others is not right.
levels=put_escaped:0,put:0,put_byte:0,is_right:300,spend:300,remember_decoy:100,split_field:500,follow_links:100,make_field:100
proofs=put_byte,put,put_escaped,write_all,read_record,distance,take_field,split_record,fill,skip_rest,next_line
proofs=$proofs,split_line,is_digit,is_number,parse_number,is_shadow,take_entry,in_alphabet,label_length,is_scheme
proofs=$proofs,kept_length,split_field,remember_decoy,spend,is_of,is_missing,follow_links,split_path,is_right,is_equal
proofs=$proofs,check_policy,get_random,make_field,copy,read_options,take_option,file_main

# program NAME SETTER
program() {
	eva "$1" "-DSETTER=$2" -main prove -eva-slevel 20 -eva-slevel-function $levels \
		-eva-split-limit 2000 -eva-split-return-function $returns
	wp "$1" -wp-timeout 30 -wp-fct $proofs -then -wp-fct look_up -wp-split
}

annotate ../../backends/file.c
program check 0
program set 1
judge
