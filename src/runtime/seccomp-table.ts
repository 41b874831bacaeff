/**
 * The default system call filter as data: what a container may call. Everything else answers EPERM, so a program sees a
 * refusal and no signal. Grouped by what the calls are for; a name that an architecture lacks has no effect there.
 */

/** Always allowed. */
export const ALLOWED: Readonly<Record<string, string>> = {
  files: `open openat openat2 creat close close_range read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2
    lseek _llseek sendfile sendfile64 copy_file_range splice tee vmsplice readahead fadvise64 fadvise64_64 fallocate
    truncate truncate64 ftruncate ftruncate64 flock fcntl fcntl64 dup dup2 dup3 pipe pipe2 ioctl fsync fdatasync sync
    syncfs sync_file_range sync_file_range2 arm_fadvise64_64 arm_sync_file_range`,
  names: `access faccessat faccessat2 stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat
    statx statfs statfs64 fstatfs fstatfs64 getcwd chdir fchdir mkdir mkdirat rmdir link linkat unlink unlinkat symlink
    symlinkat readlink readlinkat rename renameat renameat2 mknod mknodat getdents getdents64 umask name_to_handle_at
    chmod fchmod fchmodat fchmodat2 chown chown32 lchown lchown32 fchown fchown32 fchownat utime utimes futimesat utimensat
    utimensat_time64`,
  attributes: `getxattr lgetxattr fgetxattr setxattr lsetxattr fsetxattr listxattr llistxattr flistxattr removexattr
    lremovexattr fremovexattr getxattrat setxattrat listxattrat removexattrat`,
  watching: `inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark poll ppoll ppoll_time64 select
    _newselect pselect6 pselect6_time64 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old
    epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4`,
  "asynchronous I/O": `io_setup io_submit io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 ioprio_get
    ioprio_set`,
  memory: `brk mmap mmap2 munmap mprotect mremap msync mincore madvise mlock mlock2 mlockall munlock munlockall
    remap_file_pages memfd_create memfd_secret membarrier pkey_alloc pkey_free pkey_mprotect mseal map_shadow_stack cachestat
    process_mrelease`,
  processes: `fork vfork execve execveat exit exit_group wait4 waitid waitpid getpid getppid gettid getpgid getpgrp setpgid
    getsid setsid set_tid_address get_thread_area set_thread_area set_robust_list get_robust_list prctl rseq restart_syscall
    pidfd_open pidfd_send_signal getcpu uretprobe riscv_hwprobe`,
  identities: `getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32
    getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32
    setresgid setresgid32 setfsuid setfsuid32 setfsgid setfsgid32 setgroups setgroups32 capget capset`,
  limits: `getrlimit setrlimit ugetrlimit prlimit64 getrusage times sysinfo uname getpriority setpriority sched_yield
    sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam sched_getscheduler
    sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_rr_get_interval_time64`,
  signals: `kill tkill tgkill pause sigaltstack signal sigaction sigpending sigprocmask sigreturn sigsuspend rt_sigaction
    rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
    rt_tgsigqueueinfo`,
  time: `time gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64 clock_nanosleep
    clock_nanosleep_time64 nanosleep adjtimex clock_adjtime clock_adjtime64 alarm getitimer setitimer timer_create
    timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
    timerfd_gettime64 timerfd_settime timerfd_settime64`,
  synchronising: `futex futex_time64 futex_wait futex_wake futex_requeue futex_waitv`,
  sockets: `socketcall socketpair bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt
    send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64`,
  "System V and POSIX IPC": `ipc msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget
    mq_open mq_unlink mq_notify mq_getsetattr mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64`,
  confinement: `seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self`,
  randomness: `getrandom`,
  // Since Linux 4.8 tracing cannot escape the filter.
  tracing: `ptrace process_vm_readv process_vm_writev`,
};

/** Allowed on some architectures only: what they need to run programs at all. */
export const ALLOWED_ON: readonly { readonly architectures: readonly string[]; readonly names: string }[] = [
  { architectures: ["x64", "ia32"], names: "arch_prctl modify_ldt" },
  { architectures: ["arm64", "arm"], names: "breakpoint cacheflush set_tls" },
  { architectures: ["riscv64"], names: "riscv_flush_icache" },
  { architectures: ["s390x"], names: "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr" },
  { architectures: ["ppc64"], names: "swapcontext" },
];

/** Allowed to a container that has the capability which the kernel asks for anyway. */
export const ALLOWED_WITH: Readonly<Record<string, string>> = {
  CAP_DAC_READ_SEARCH: "open_by_handle_at",
  CAP_SYS_ADMIN: `bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick listmount lookup_dcookie
    lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl
    quotactl_fd setdomainname sethostname setns statmount syslog umount umount2 unshare`,
  CAP_SYS_BOOT: "reboot",
  CAP_SYS_CHROOT: "chroot",
  CAP_SYS_MODULE: "delete_module init_module finit_module",
  CAP_SYS_PACCT: "acct",
  CAP_SYS_PTRACE: "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
  CAP_SYS_RAWIO: "iopl ioperm",
  CAP_SYS_TIME: "settimeofday stime clock_settime clock_settime64",
  CAP_SYS_TTY_CONFIG: "vhangup",
  CAP_SYS_NICE: "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
  CAP_SYSLOG: "syslog",
  CAP_BPF: "bpf",
  CAP_PERFMON: "perf_event_open",
};

export interface ArgumentTest {
  readonly index: number;
  readonly op: "SCMP_CMP_EQ" | "SCMP_CMP_NE" | "SCMP_CMP_MASKED_EQ";
  /** For MASKED_EQ the mask. */
  readonly value: number;
  /** For MASKED_EQ what the masked argument must equal. */
  readonly valueTwo?: number;
}

const AF_VSOCK = 40;
/** CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET. */
const NEW_NAMESPACES = 0x7e020000;

/** Allowed for some arguments only; one entry per alternative. */
export const ALLOWED_ARGUMENTS: readonly {
  readonly name: string;
  readonly test: ArgumentTest;
  readonly withoutCapability?: string;
}[] = [
  // vsock is not bound to a network namespace, so it would reach the host.
  { name: "socket", test: { index: 0, op: "SCMP_CMP_NE", value: AF_VSOCK } },
  // PER_LINUX, PER_LINUX32, each with UNAME26, and the query.
  ...[0x0, 0x8, 0x20000, 0x20008, 0xffffffff].map((value) => ({
    name: "personality",
    test: { index: 0, op: "SCMP_CMP_EQ", value } as const,
  })),
  {
    name: "clone",
    test: { index: 0, op: "SCMP_CMP_MASKED_EQ", value: NEW_NAMESPACES, valueTwo: 0 },
    withoutCapability: "CAP_SYS_ADMIN",
  },
];

/** Its arguments lie in memory where a filter cannot look, so it must seem not to exist: libc then uses clone. */
export const MISSING_WITHOUT: readonly { readonly name: string; readonly capability: string }[] = [
  { name: "clone3", capability: "CAP_SYS_ADMIN" },
];
