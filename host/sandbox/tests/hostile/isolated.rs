//! One guest in a process of its own: this test binary, started for the one test.

use std::{
    env, fs,
    io::Read,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// The variable with the guest that a child process runs.
const GUEST: &str = "PIPEFOLD_HOSTILE_GUEST";
/// The beginning of the child's answer in the test harness's output.
const ANSWER: &str = "guest told: ";
/// The time limit of a child: far more than any guest may take; without limits some would run for ever.
const LONGEST: Duration = Duration::from_secs(60);
/// The address space of a child: a hundred memories of 64 MiB fit, and without limits a guest cannot take the whole machine's memory.
const ADDRESS_SPACE: &str = r#"ulimit -v 12000000; exec "$0" "$@""#;
/// The memory that the host may need for any guest, beyond the guest's own.
const MOST_MEMORY: usize = 64 << 20;

/// A test for each guest: its name, its action, and its result. `granted` is the memory that it uses in full.
macro_rules! hostile {
    ($($(#[$doc:meta])* $name:ident $(granted $granted:expr)?; $work:expr => $expected:expr;)*) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            let granted: usize = 0 $(+ $granted)?;
            crate::hostile::isolated::isolated(concat!(module_path!(), "::", stringify!($name)), granted, || $work, &String::from($expected));
        }
    )*};
}
pub(crate) use hostile;

/// Runs `work` in a child process, and compares its result and memory.
pub fn isolated(path: &str, granted: usize, work: impl FnOnce() -> String, expected: &str) {
    // Tests are named without the crate.
    let name = path.split_once("::").unwrap().1;
    if env::var(GUEST).is_ok_and(|guest| guest == name) {
        let told = work();
        println!("{ANSWER}{}", serde_json::to_string(&(told, peak())).unwrap());
        return;
    }
    let (told, peak) = run(name);
    assert_eq!(told, expected);
    assert!(
        peak <= granted + MOST_MEMORY,
        "{peak} bytes of memory, of which {granted} were granted"
    );
}

fn run(name: &str) -> (String, usize) {
    let mut child = Command::new("/bin/sh")
        .args(["-c", ADDRESS_SPACE])
        .arg(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(GUEST, name)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (out, err) = (
        reader(child.stdout.take().unwrap()),
        reader(child.stderr.take().unwrap()),
    );
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > LONGEST {
            let _ = child.kill();
            let _ = child.wait();
            panic!("still running after {LONGEST:?}, and was killed");
        }
        thread::sleep(Duration::from_millis(5));
    };
    let (out, err) = (out.join().unwrap(), err.join().unwrap());
    let answer = out.split(ANSWER).nth(1).and_then(|rest| rest.lines().next());
    let answer = answer.unwrap_or_else(|| panic!("the process ended with {status}:\n{out}{err}"));
    serde_json::from_str(answer).unwrap()
}

/// Reads beside the child, which could not go on with a full pipe.
fn reader(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// Resets the peak of memory, so that building a guest does not count as the host's. If the system does not allow it, it counts.
pub fn from_here() {
    let _ = fs::write("/proc/self/clear_refs", "5");
    BASE.store(field("VmRSS:"), Ordering::Relaxed);
}

static BASE: AtomicUsize = AtomicUsize::new(0);

/// The most memory since [`from_here`], beyond the memory then.
fn peak() -> usize {
    field("VmHWM:").saturating_sub(BASE.load(Ordering::Relaxed))
}

/// A number of bytes from the system's status of this process; 0 if it has none.
fn field(name: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().strip_suffix(" kB"))
        .map_or(0, |kib| kib.parse::<usize>().unwrap() << 10)
}
