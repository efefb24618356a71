# From a trace of strace: the faults to try, one session a line (see fault.c).
# Variables: session, place; each line is "SESSION PLACE CALL:error=NAME:when=N", every error at every call, whether
# or not a kernel would ever give it; with forever=1 also for every later call too ("N+"), with kill=1
# a kill at each call, with few=1 one error alone. Then what does half of its work: "short CALL N".

BEGIN {
	all = few ? "ENOMEM" : "EINTR EAGAIN ENOMEM EMFILE ENOSPC EIO EPIPE"
	if (!few) {	# what only some calls give
		more["read"] = more["sendto"] = "ECONNRESET"
		more["wait4"] = more["waitid"] = "ECHILD"
		more["kill"] = "EPERM ESRCH"
		more["getrandom"] = more["close_range"] = more["prctl"] = "ENOSYS"
		more["fallocate"] = "EOPNOTSUPP"
		more["fsync"] = "EINVAL"
		more["chroot"] = more["setresuid"] = more["setresgid"] = "EPERM EINVAL"
	}
	# What sets the process up, fails never or ends it; execve has cases of its own (faults.sh).
	split("execve exit exit_group exit_thread rt_sigreturn restart_syscall getpid gettid arch_prctl set_tid_address", never)
	for (i in never)
		skipped[never[i]] = 1
}

function one(fault) {
	if (!((session, place, fault) in done))
		print session, place, fault
	done[session, place, fault] = 1
}

{
	pid = $1 ~ /^[0-9]+$/ ? $1 : 0
	if (!match($0, /[a-z][a-z0-9_]*\(/) || $0 ~ /resumed>/)
		next
	name = substr($0, RSTART, RLENGTH - 1)
	if (name in skipped)
		next
	n = ++count[pid, name]
	if (kill)
		one(name ":signal=SIGKILL:when=" n)
	many = split(all " " more[name], list, " ")
	for (i = 1; i <= many; i++) {
		one(name ":error=" list[i] ":when=" n)
		if (forever && list[i] !~ /^(EINTR|EAGAIN|ENOSYS)$/)
			one(name ":error=" list[i] ":when=" n "+")
	}
	if (name ~ /^(read|write|sendto|pread64)$/ && !pid)
		one("short " name " " n)
}
