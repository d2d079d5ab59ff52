//! The compiling child: this test program, started again.

use pipefold_sandbox::{ChildCompiler, compile_worker};
use std::{fs::File, io};

/// The variable that makes the test below compile. The compiler's own child has no variables at all, so the shell sets it.
const VARIABLE: &str = "PIPEFOLD_TEST_WORKER";

/// The shell script. The test harness writes to stdout, where the answer belongs: the shell keeps the real one as number 3. A harness's
/// thread has a heap of its own, with 64 MiB of address space from the start; one heap for all is as in a program that does nothing else.
pub fn compiler() -> ChildCompiler {
    let this = std::env::current_exe().unwrap();
    let script = format!(
        r#"export {VARIABLE}=1 MALLOC_ARENA_MAX=1; exec "$0" --exact worker::works --nocapture --test-threads=1 3>&1 >/dev/null"#
    );
    ChildCompiler::new(
        "/bin/sh",
        ["-c".into(), script, this.into_os_string().into_string().unwrap()],
    )
}

#[test]
fn works() {
    if std::env::var_os(VARIABLE).is_some() {
        let output = File::options().write(true).open("/proc/self/fd/3").unwrap();
        compile_worker(io::stdin(), output).unwrap();
    }
}
