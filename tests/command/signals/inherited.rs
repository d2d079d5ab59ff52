//! The command inherits the state with which pipefold was started; a refusal of the system to pipefold does not keep the command from running.

use pipefold_tests::{Ci, Output, RUN, binary, skipped};

/// Runs a script in a shell; `$PF` in it is `exec` with all that it needs, up to `--`.
fn shell(ci: &Ci, script: &str) -> Output {
    let exec = format!(
        "{} exec -q --pipeline-name p --pipeline-source s --reference-id {RUN} --",
        binary("pipefold").display()
    );
    ci.program("/bin/sh").args(["-c", script]).env("PF", exec).run()
}

#[test]
fn dispositions_mask_and_descriptors_are_as_without_pipefold() {
    // Coreutils' env sets them; a shell could not block a signal, nor ignore one that it needs.
    let has_env = std::process::Command::new("env")
        .args(["--block-signal=USR1", "true"])
        .status();
    if !has_env.is_ok_and(|status| status.success()) {
        return skipped(
            "dispositions_mask_and_descriptors_are_as_without_pipefold",
            "env knows no --block-signal",
        );
    }
    // Not by a shell, which begins with a mask of its own.
    let status = "grep -E '^(Sig[BICP]|Shd|Umask|Cap|NoNewPrivs|Seccomp)' /proc/self/status";
    let descriptors = "ls -l /proc/self/fd";
    for set_up in [
        "env",
        "env --ignore-signal=PIPE",
        "env --ignore-signal=HUP,INT,QUIT,USR1,ALRM,CHLD,FPE,ILL,XFSZ,CONT,TSTP",
        "env --ignore-signal=TSTP,TTIN,TTOU,PIPE,ABRT --block-signal=ABRT,PIPE,CONT",
        "env --block-signal=TERM,INT,CHLD,USR2,WINCH,RTMIN+3,PIPE,XFSZ,TSTP,TTIN,TTOU",
        "env --ignore-signal=PIPE,CHLD --block-signal=CHLD,TERM",
    ] {
        for closed in ["", "3>other 7</dev/null", "<&-", "2>&-", "<&- 2>&-"] {
            for look in [status, descriptors] {
                let ci = Ci::new();
                let look_at = |wrapper: &str| {
                    let output = shell(&ci, &format!("{set_up} {wrapper} {look} {closed}"));
                    assert!(!output.stdout.is_empty(), "{set_up} {closed}: {output}");
                    output.stdout().lines().map(comparable).collect::<Vec<_>>()
                };
                assert_eq!(look_at("$PF"), look_at(""), "{set_up} {closed}");
            }
        }
    }
}

/// A line without what differs between any two processes.
fn comparable(line: &str) -> String {
    match line.split_once(" -> ") {
        Some((descriptor, target)) => {
            let number = descriptor.rsplit(' ').next().unwrap_or_default();
            let digits = |character: char| character.is_ascii_digit();
            format!("{number} -> {}", target.replace(digits, ""))
        }
        None => without_the_c_librarys(line),
    }
}

/// A line of the status without the signals 32 and 33, which the C library keeps to itself: it catches them in every process with threads.
fn without_the_c_librarys(line: &str) -> String {
    let mask = |digits: &str| u64::from_str_radix(digits.trim(), 16).ok();
    match line.split_once(':') {
        Some(("SigIgn", digits)) => format!("SigIgn: {:x?}", mask(digits).map(|mask| mask & !(0b11 << 31))),
        _ => line.to_owned(),
    }
}

#[test]
fn a_blocked_closing_line_does_not_delay_the_end() {
    let ci = Ci::new();
    let output = shell(&ci, "env --block-signal=CHLD $PF sh -c 'sleep 0.1; exit 3'");
    output.assert_code(3).assert_within(std::time::Duration::from_secs(20));
    assert_eq!(ci.record().status, "failure");
    let output = shell(&ci, "env --ignore-signal=CHLD $PF sh -c 'exit 4'");
    output.assert_code(4);
}

#[test]
fn the_commands_end_is_noticed_at_once() {
    // Were it only looked for, that would be once a second.
    let took = (0..5).map(|_| {
        let start = std::time::Instant::now();
        Ci::new().exec_script("sleep 0.1").run().assert_code(0);
        start.elapsed()
    });
    assert!(took.min() < Some(std::time::Duration::from_secs(1)));
}

#[test]
fn limits_on_files_keep_nothing_from_running() {
    // With fewer than 4 no program finds its libraries.
    for descriptors in 4..=14 {
        let ci = Ci::new();
        let script = format!("ulimit -n {descriptors}; exec $PF sh -c 'exit 3'");
        shell(&ci, &script).assert_code(3);
    }
    let ci = Ci::new();
    shell(&ci, "ulimit -f 0; $PF sh -c 'exit 3'").assert_code(3);
    // The command has its own limit still, and dies of it.
    let output = shell(&ci, "ulimit -f 0; $PF sh -c 'echo x >file; kill -XFSZ $$'");
    assert_eq!(output.code, Some(128 + 25), "{output}");
    let words = "start --pipeline-name p --pipeline-source s --reference-id other";
    let start = format!("ulimit -f 0; {} {words}", binary("pipefold").display());
    shell(&ci, &start).assert_code(0);
    assert!(ci.dx.records().contains_key("other"), "what cannot be recorded is sent");
}

#[test]
fn a_step_that_cannot_be_recorded_is_sent_at_once() {
    for (flags, status) in [
        (&[][..], "failure"),
        (&[], "success"),
        (&["--allow-failure"], "success"),
    ] {
        let ci = Ci::new();
        ci.report(["start"]).run().assert_code(0);
        // A directory cannot be made where there is a file; as good as a full disk, and for root too.
        let words = ["step", "--step", "s"]
            .iter()
            .chain(flags)
            .chain(&["--", "sh", "-c", "exit 4"]);
        let no_spool = ci.directory().join("operator.toml/spool");
        let output = ci.report(words.copied()).env("PIPEFOLD_SPOOL", &no_spool).run();
        output.assert_code(4);
        for r in ci.dx.requests() {
            eprintln!("{}", r.json());
        }
        assert_eq!((ci.dx.run_requests().len(), ci.dx.job_requests().len()), (2, 1));
        assert_eq!(ci.record().status, "running", "a retry may still succeed: {output}");
        ci.report(["finish", "--status", status])
            .env("PIPEFOLD_SPOOL", &no_spool)
            .run()
            .assert_code(0);
        let record = ci.record();
        assert_eq!(record.status, status, "{flags:?}: {output}");
        assert!(record.finished_at.is_some());
    }
}

/// A user with no other processes than a test's own.
const LONELY: u32 = 54_321;

#[test]
fn a_full_table_of_processes_keeps_nothing_from_running() {
    let name = "a_full_table_of_processes_keeps_nothing_from_running";
    if !rustix::process::geteuid().is_root() {
        return skipped(name, "it takes a user without other processes");
    }
    for processes in 1..=5 {
        let ci = Ci::new();
        let program = ci.directory().join("pipefold");
        std::fs::copy(binary("pipefold"), &program).unwrap();
        let own = |path: &std::path::Path| {
            std::os::unix::fs::chown(path, Some(LONELY), Some(LONELY)).unwrap();
        };
        for path in [
            ci.directory(),
            &ci.workspace(),
            &ci.directory().join("tmp"),
            &ci.directory().join("home"),
        ] {
            own(path);
        }
        let fields = format!("--pipeline-name p --pipeline-source s --reference-id {RUN}");
        let exec = format!("exec {} exec {fields} -- sh -c 'exit 3'", program.display());
        // Set before the user changes: a shell that is over the limit could not even start it.
        let script = format!(
            "exec setpriv --reuid={LONELY} --regid={LONELY} --clear-groups sh -c \"ulimit -u {processes}; {exec}\""
        );
        let output = ci.program("/bin/sh").args(["-c", &script]).run();
        output.assert_code(3);
        assert!(!output.stderr().contains("panicked"), "{output}");
        if processes >= 2 {
            assert_eq!(ci.record().status, "failure", "with {processes}: {output}");
        }
    }
}

#[test]
fn a_fault_of_pipefolds_own_does_not_change_the_commands_end() {
    for words in ["exec", "step --step s --now"] {
        // As many places as there are, and some more.
        let mut survived = 0;
        for at in 1..200 {
            let ci = Ci::new();
            let line: Vec<&str> = words
                .split(' ')
                .chain(["--", "sh", "-c", "sleep 0.05; exit 3"])
                .collect();
            let output = ci.report(line).env("PIPEFOLD_TEST_PANIC_AT", at.to_string()).run();
            output.assert_code(3);
            let fault = output
                .stderr()
                .lines()
                .filter(|line| line.contains("internal error"))
                .count();
            assert!(fault <= 1 && !output.stderr().contains("panicked at"), "{output}");
            survived = if fault == 0 { survived + 1 } else { 0 };
            if survived == 3 {
                assert!(at > 5, "nothing failed: this needs a debug build");
                break;
            }
        }
        assert_eq!(survived, 3, "{words}");
    }
}

/// Refuses system calls, given by their numbers here, to the rest of its command line, with EPERM as container runtimes do.
const WITHOUT: &str = r#"
import ctypes, os, struct, sys
numbers = [int(number) for number in sys.argv[1].split(",")]
code = [struct.pack("HBBI", 0x20, 0, 0, 0)]
for number in numbers:
    code += [struct.pack("HBBI", 0x15, 0, 1, number), struct.pack("HBBI", 0x06, 0, 0, 0x00050001)]
code += [struct.pack("HBBI", 0x06, 0, 0, 0x7fff0000)]
filter = ctypes.create_string_buffer(b"".join(code))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
program = Program(len(code), ctypes.addressof(filter))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
if libc.prctl(22, 2, ctypes.byref(program), 0, 0) != 0:
    sys.exit(99)
os.execvp(sys.argv[2], sys.argv[2:])
"#;

#[test]
fn system_calls_that_are_refused_keep_nothing_from_running() {
    let name = "system_calls_that_are_refused_keep_nothing_from_running";
    // Their numbers on x86-64 and on AArch64; whether the run can be reported without them.
    let calls = [
        ("kill", [62, 129], true),
        ("rt_sigtimedwait", [128, 137], true),
        ("rt_sigqueueinfo", [129, 138], true),
        ("socketpair", [53, 199], true),
        ("clone3", [435, 435], true),
        ("close_range", [436, 436], true),
        ("prctl", [157, 167], true),
        ("sendto", [44, 206], false),
        ("getpgid", [121, 155], true),
        ("pipe2", [293, 59], false),
        ("clone", [56, 220], false),
    ];
    let here = match std::env::consts::ARCH {
        "x86_64" => 0,
        "aarch64" => 1,
        other => return skipped(name, &format!("the numbers of {other} are not known")),
    };
    let without = |numbers: &str, words: &str| {
        let ci = Ci::new();
        let script = format!("exec python3 -c \"$WITHOUT\" {numbers} {words}");
        let exec = format!(
            "{} exec --pipeline-name p --pipeline-source s --reference-id {RUN} --",
            binary("pipefold").display()
        );
        let shell = ci.program("/bin/sh").args(["-c", &script]);
        (shell.env("WITHOUT", WITHOUT).env("PF", exec).run(), ci)
    };
    if without("9999", "sh -c 'exit 5'").0.code != Some(5) {
        return skipped(name, "there is no python3, or it may not refuse system calls");
    }
    for (call, numbers, is_reported) in calls {
        let (output, ci) = without(&numbers[here].to_string(), "$PF sh -c 'exit 3'");
        output.assert_code(3);
        assert!(!output.stderr().contains("internal error"), "{call}: {output}");
        let status = ci.dx.records().get(RUN).map(|record| record.status.clone());
        assert_eq!(status.as_deref(), is_reported.then_some("failure"), "{call}: {output}");
    }
}

#[test]
fn a_process_that_may_not_make_memory_executable_reports_too() {
    let name = "a_process_that_may_not_make_memory_executable_reports_too";
    // PR_SET_MDWE, from Linux 6.3 on; systemd's MemoryDenyWriteExecute= and SELinux do the same.
    let deny = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0 or sys.exit(99); os.execvp(sys.argv[1], sys.argv[1:])";
    let run = |words: &str| {
        let ci = Ci::new();
        let output = shell(&ci, &format!("exec python3 -c '{deny}' {words}"));
        (output, ci)
    };
    if !cfg!(target_arch = "x86_64") || run("sh -c 'exit 5'").0.code != Some(5) {
        return skipped(name, "there is no python3, or the system cannot deny it");
    }
    let (output, ci) = run("$PF sh -c 'exit 3'");
    output.assert_code(3);
    assert_eq!(ci.record().status, "failure", "{output}");
}

#[test]
fn the_first_process_of_a_container_reaps_orphans() {
    let name = "the_first_process_of_a_container_reaps_orphans";
    let unshare = ["--pid", "--fork", "--mount-proc", "--"];
    let may = std::process::Command::new("unshare").args(unshare).arg("true").output();
    if !may.is_ok_and(|output| output.status.success()) {
        return skipped(name, "this user may not make a PID namespace");
    }
    let ci = Ci::new();
    let orphans = "for i in 1 2 3 4 5; do (sleep 0.01 & ); done; sleep 0.5; grep -l '^State:.*zombie' /proc/[0-9]*/status; exit 3";
    let fields = ["--pipeline-name", "p", "--pipeline-source", "s", "--reference-id", RUN];
    let output = ci
        .program("unshare")
        .args(unshare)
        .args([binary("pipefold").into_os_string(), "exec".into()])
        .args(fields)
        .args(["--", "sh", "-c", orphans])
        .run();
    output.assert_code(3);
    assert_eq!(output.stdout(), "", "zombies are left");
    assert_eq!(ci.record().status, "failure");
}
