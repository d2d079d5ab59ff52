//! stdin, stdout and stderr are the command's own, byte for byte.

use std::time::Duration;

use pipefold_tests::{Ci, Mode, Output};

/// Every byte value, in an order that is not text.
fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(1).fill(&mut bytes);
    bytes
}

/// Checks that stderr is the command's own bytes and, after them, lines of pipefold's own.
fn stderr_is(output: &Output, expected: &[u8]) {
    let rest = output.stderr.strip_prefix(expected);
    let rest = rest.unwrap_or_else(|| panic!("stderr does not begin with the {} bytes of the command", expected.len()));
    let rest = String::from_utf8(rest.to_vec()).unwrap();
    assert!(rest.lines().all(|line| line.starts_with("pipefold: ")), "{rest:?}");
}

#[test]
fn a_megabyte_of_any_bytes_passes_through_each_of_them() {
    let ci = Ci::new();
    let input = bytes(1 << 20);
    let output = ci.exec(["sh", "-c", "tee /dev/stderr"]).stdin(input.clone()).run();
    output.assert_code(0);
    assert!(output.stdout == input, "stdout differs, {} bytes", output.stdout.len());
    stderr_is(&output, &input);
}

#[test]
fn on_a_pipe_the_closing_line_is_plain_and_the_last() {
    let ci = Ci::new();
    let output = ci
        .exec(["sh", "-c", "printf 'no end of line'; printf 'nor here\\n' >&2"])
        .run();
    assert_eq!(output.stdout(), "no end of line");
    let stderr = output.stderr();
    let (command, own) = stderr.split_once('\n').unwrap();
    assert_eq!(command, "nor here");
    assert!(
        own.starts_with("pipefold: success in ") && own.ends_with(", delivered\n"),
        "{own:?}"
    );
    assert!(!own.contains('\u{1b}'), "{own:?}");
}

#[test]
fn with_quiet_there_is_nothing_of_pipefolds() {
    for mode in [Mode::Normal, Mode::RefuseConnections, Mode::InternalError] {
        let ci = Ci::new();
        ci.budgets(200, 400, 200);
        ci.dx.set_mode(mode);
        let output = ci
            .report(["exec", "-q", "--", "sh", "-c", "printf o; printf e >&2"])
            .run();
        output.assert_code(0);
        assert_eq!((output.stdout(), output.stderr()), ("o".to_owned(), "e".to_owned()));
    }
}

#[test]
fn a_hundred_megabytes_pass_through() {
    let ci = Ci::new();
    let size = 100 << 20;
    let output = ci
        .exec(["cat"])
        .stdin(vec![b'x'; size])
        .timeout(Duration::from_secs(120))
        .run();
    output.assert_code(0);
    assert_eq!(output.stdout.len(), size);
    assert!(output.stdout.iter().all(|byte| *byte == b'x'));
}

#[test]
fn the_end_of_stdin_and_a_closed_stdout_are_the_commands_to_see() {
    let ci = Ci::new();
    let output = ci.exec(["sh", "-c", "read line || echo end"]).run();
    assert_eq!(output.stdout(), "end\n");
    // `yes` dies of SIGPIPE when its reader has gone; it would run for ever if pipefold held the pipe open.
    let output = ci
        .exec_script("pipefold step --step noise -- yes 2>&1 | head -n 1")
        .run();
    output.assert_code(0);
    assert_eq!(output.stdout(), "y\n");
}

#[test]
fn a_full_stderr_changes_nothing() {
    let ci = Ci::new();
    ci.budgets(200, 300, 200).dx.set_mode(Mode::RefuseConnections);
    for command in [
        "exec -vvv -- sh -c 'exit 3'",
        "step --step s --now -vvv -- sh -c 'exit 3'",
    ] {
        let fields = format!(
            "--pipeline-name p --pipeline-source s --reference-id {}",
            pipefold_tests::RUN
        );
        let (name, rest) = command.split_once(' ').unwrap();
        let script = format!(
            "{} {name} {fields} {rest} 2>/dev/full",
            pipefold_tests::binary("pipefold").display()
        );
        ci.program("/bin/sh").args(["-c", &script]).run().assert_code(3);
    }
}

#[test]
fn arguments_are_handed_on_byte_for_byte() {
    use std::os::unix::ffi::OsStrExt;
    let ci = Ci::new();
    let argument = std::ffi::OsStr::from_bytes(b"a\xff \n'\"--strict");
    let output = ci
        .exec(["printf".as_ref(), "%s|%s".as_ref(), argument, "".as_ref()])
        .run();
    output.assert_code(0);
    assert_eq!(output.stdout, b"a\xff \n'\"--strict|");
}

#[test]
fn other_descriptors_are_handed_on_as_makes_job_server_needs() {
    let ci = Ci::new();
    let script = "exec 3>other; pipefold step --step s -- sh -c 'echo through >&3'";
    ci.exec_script(script).run().assert_code(0);
    assert_eq!(
        std::fs::read_to_string(ci.workspace().join("other")).unwrap(),
        "through\n"
    );
}

#[test]
fn json_never_gets_into_the_commands_stdout() {
    let ci = Ci::new();
    for command in [&["exec"] as &[&str], &["step", "--step", "s", "--now"]] {
        let wrapped = ["--json", "-vvv", "--", "echo", "own"];
        let output = ci.report(command.iter().copied().chain(wrapped)).run();
        output.assert_code(0);
        assert_eq!(output.stdout(), "own\n", "{command:?}");
    }
}

#[test]
fn other_commands_leave_stdin_alone() {
    let ci = Ci::new();
    let output = ci
        .exec_script("pipefold step --step one; pipefold step --step two; cat")
        .stdin("for the command\n")
        .run();
    output.assert_code(0);
    assert_eq!(output.stdout(), "for the command\n");
}

#[test]
fn start_step_finish_and_flush_print_nothing_when_all_is_well() {
    let ci = Ci::new();
    let commands: [&[&str]; 4] = [
        &["start"],
        &["step", "--step", "a"],
        &["finish", "--status", "success"],
        &["flush"],
    ];
    for command in commands {
        let output = if command[0] == "flush" {
            ci.pipefold(command).run()
        } else {
            ci.report(command).run()
        };
        output.assert_code(0);
        assert!(output.stdout.is_empty(), "{command:?}\n{output}");
        assert!(
            output.stderr.is_empty() || command[0] == "flush",
            "{command:?}\n{output}"
        );
    }
}
