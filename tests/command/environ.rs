//! The token is hidden from the wrapped command: it is neither in its own environment nor in pipefold's.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use pipefold_tests::{Ci, binary, skipped};

#[test]
fn the_commands_environment_has_none_of_it() {
    let ci = Ci::new();
    let script = "tr '\\0' '\\n' < /proc/self/environ; sh -c 'tr \"\\0\" \"\\n\" < /proc/self/environ'; pipefold step --step s -- env";
    let output = ci.exec_script(script).run();
    output.assert_code(0);
    assert!(output.stdout().contains("PIPEFOLD_REFERENCE_ID="), "{output}");
    assert!(!output.stdout().contains("DX_API_TOKEN"), "{output}");
    assert!(!output.stdout().contains(ci.dx.token()), "{output}");
}

#[test]
fn the_command_cannot_read_pipefolds_own_environment() {
    for words in [&["exec"] as &[&str], &["step", "--step", "s"]] {
        let ci = Ci::new();
        let script = "cat /proc/$$/environ >/dev/null && echo mine; cat /proc/$PPID/environ && echo; echo done";
        let mut command = ci.report(words.iter().copied().chain(["--", "sh", "-c", script]));
        if rustix::process::geteuid().is_root() {
            // Root reads everything; any other user is to be held off.
            let Some(program) = for_nobody(&ci) else {
                let name = "the_command_cannot_read_pipefolds_own_environment";
                return skipped(name, "no other user can be used here");
            };
            command = command.replaced_by(program).user(NOBODY);
        }
        let output = command.run();
        output.assert_code(0);
        assert!(output.stdout().starts_with("mine\n"), "its own it can read: {output}");
        assert!(output.stdout().ends_with("done\n"), "{output}");
        assert!(output.stderr().contains("/environ: Permission denied"), "{output}");
        assert!(!output.stdout().contains(ci.dx.token()), "{output}");
    }
}

/// The user without rights of its own on every Linux.
const NOBODY: u32 = 65534;

/// Makes the machine that user's, with a copy of the binary that it may read: a process of a program that it may not read would be closed
/// to it anyway. None if the system does not allow it.
fn for_nobody(ci: &Ci) -> Option<PathBuf> {
    let program = ci.directory().join("pipefold");
    std::fs::copy(binary("pipefold"), &program).unwrap();
    for path in [program.as_path(), ci.directory(), &ci.workspace(), &ci.operator_file()] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).ok()?;
    }
    Some(program)
}
