//! The packages that `scripts/dist/pack.py` writes, from this build's command, and the installer. `make dist-test` tries those of a release.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use pipefold_tests::{Ci, RUN, binary, skipped, workspace_root};
use tempfile::TempDir;

/// The release's time, so that equal inputs have an equal one.
const TIME: &str = "1700000000";

fn script(path: &str) -> PathBuf {
    workspace_root().join("scripts").join(path)
}

fn target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// Packages of these kinds from an executable; the reason if this machine cannot write them.
fn pack(out: &Path, executable: &Path, kinds: &str) -> Result<(), String> {
    let tomllib = Command::new("python3").args(["-c", "import tomllib"]).output();
    if !tomllib.is_ok_and(|output| output.status.success()) {
        return Err("there is no python3 of version 3.11 or newer".to_owned());
    }
    let build = format!("{}={}", target(), executable.display());
    let output = Command::new("python3")
        .arg(script("dist/pack.py"))
        .args(["--level", "1", "--only", kinds, "--build", &build])
        .args(["--describe".as_ref(), binary("pipefold").as_os_str()])
        .args(["--out".as_ref(), out.as_os_str()])
        .args(["--certificates".as_ref(), workspace_root().join("LICENSE").as_os_str()])
        .env("SOURCE_DATE_EPOCH", TIME)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    Ok(())
}

/// A release with the command of this build, made once for all tests.
fn release() -> Result<&'static Path, String> {
    static RELEASE: OnceLock<Result<TempDir, String>> = OnceLock::new();
    let made = RELEASE.get_or_init(|| {
        let out = tempfile::tempdir().unwrap();
        pack(out.path(), &binary("pipefold"), "tar,wheel,npm").map(|()| out)
    });
    made.as_ref().map(TempDir::path).map_err(Clone::clone)
}

/// The release; none if it cannot be made here, and the test counts as skipped.
fn release_or_skip(test: &str) -> Option<&'static Path> {
    release().inspect_err(|why| skipped(test, why)).ok()
}

/// The one file of the release whose name has this beginning and end.
fn package(release: &Path, beginning: &str, end: &str) -> PathBuf {
    let files = fs::read_dir(release).unwrap().map(|file| file.unwrap().path());
    let mut found = files.filter(|file| {
        let name = file.file_name().unwrap().to_string_lossy();
        name.starts_with(beginning) && name.ends_with(end)
    });
    found.next().unwrap_or_else(|| panic!("no {beginning}…{end}"))
}

fn install(from: &Path, prefix: &Path) -> Output {
    Command::new("sh")
        .arg(script("install.sh"))
        .args(["--from".as_ref(), from.as_os_str()])
        .args(["--prefix".as_ref(), prefix.as_os_str()])
        .output()
        .unwrap()
}

/// Runs a command under an installed executable, and finds the run in DX.
fn assert_reports(executable: &Path) {
    let ci = Ci::new();
    let name = [
        "--pipeline-name",
        "packages",
        "--pipeline-source",
        "test",
        "--reference-id",
        RUN,
    ];
    let output = ci
        .program(executable)
        .args(["--strict", "exec"])
        .args(name)
        .args(["--", "true"])
        .run();
    output.assert_code(0);
    assert_eq!(ci.record().status, "success", "{output}");
}

#[test]
fn the_installer_installs_command_manual_and_completions() {
    let Some(release) = release_or_skip("the_installer_installs_command_manual_and_completions") else {
        return;
    };
    let prefix = tempfile::tempdir().unwrap();
    let output = install(release, prefix.path());
    assert!(output.status.success(), "{output:?}");
    assert_reports(&prefix.path().join("bin/pipefold"));
    for file in ["man/man1/pipefold-exec.1", "bash-completion/completions/pipefold"] {
        assert!(prefix.path().join("share").join(file).is_file(), "{file}");
    }
    // Over itself, as an update.
    assert!(install(release, prefix.path()).status.success());
}

#[test]
fn the_installer_refuses_a_flipped_byte() {
    let Some(release) = release_or_skip("the_installer_refuses_a_flipped_byte") else {
        return;
    };
    let archive = package(release, "pipefold-", ".tar.gz");
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let copy = tempfile::tempdir().unwrap();
    fs::write(copy.path().join(archive.file_name().unwrap()), bytes).unwrap();
    fs::copy(release.join("SHA256SUMS"), copy.path().join("SHA256SUMS")).unwrap();
    let prefix = copy.path().join("prefix");
    let output = install(copy.path(), &prefix);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("does not have the digest"),
        "{output:?}"
    );
    assert!(!prefix.exists());
}

#[test]
fn the_installer_refuses_a_release_without_the_package() {
    let empty = tempfile::tempdir().unwrap();
    fs::write(empty.path().join("SHA256SUMS"), "").unwrap();
    let output = install(empty.path(), &empty.path().join("prefix"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("has no pipefold for"),
        "{output:?}"
    );
}

#[test]
fn the_action_installs_once_and_names_the_executable() {
    let Some(release) = release_or_skip("the_action_installs_once_and_names_the_executable") else {
        return;
    };
    let runner = tempfile::tempdir().unwrap();
    let file = |name: &str| runner.path().join(name);
    for time in ["first", "second"] {
        let output = Command::new("bash")
            .arg(script("setup-action.sh"))
            .env("RUNNER_TOOL_CACHE", file("cache"))
            .env("GITHUB_PATH", file("path"))
            .env("GITHUB_OUTPUT", file("output"))
            .env("FROM", release)
            .env("VERSION", env!("CARGO_PKG_VERSION"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        // The second call finds it in the cache.
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.contains("install:"), time == "first", "{output:?}");
    }
    let output = fs::read_to_string(file("output")).unwrap();
    let executable = output.lines().next().unwrap().strip_prefix("path=").unwrap();
    assert_reports(Path::new(executable));
    let path = fs::read_to_string(file("path")).unwrap();
    assert_eq!(
        Path::new(path.lines().next().unwrap()),
        Path::new(executable).parent().unwrap()
    );
}

#[test]
fn binstall_finds_the_archive_and_the_executable_in_it() {
    const NAME: &str = "binstall_finds_the_archive_and_the_executable_in_it";
    let Some(release) = release_or_skip(NAME) else { return };
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
            "--manifest-path",
        ])
        .arg(workspace_root().join("host/cli/Cargo.toml"))
        .output()
        .unwrap();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut packages = found["packages"].as_array().unwrap().iter();
    let package_of_command = packages.find(|each| each["name"] == "pipefold-cli").unwrap();
    let rules = &package_of_command["metadata"]["binstall"];
    let archive = package(release, "pipefold-", ".tar.gz");
    let listed = Command::new("tar").arg("-tzf").arg(&archive).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();

    for library in ["musl", "gnu"] {
        let target = format!("{}-unknown-linux-{library}", std::env::consts::ARCH);
        let filled = |key: &str| {
            let rule = rules["overrides"][&target].get(key).unwrap_or(&rules[key]);
            [
                ("repo", package_of_command["repository"].as_str().unwrap()),
                ("version", env!("CARGO_PKG_VERSION")),
                ("target", target.as_str()),
                ("bin", "pipefold"),
                ("binary-ext", ""),
            ]
            .iter()
            .fold(rule.as_str().unwrap().to_owned(), |text, (name, value)| {
                text.replace(&format!("{{ {name} }}"), value)
            })
        };
        let directory = format!(
            "https://github.com/pipefold/pipefold/releases/download/v{}/",
            env!("CARGO_PKG_VERSION")
        );
        let file = archive.file_name().unwrap().to_string_lossy();
        assert_eq!(filled("pkg-url"), format!("{directory}{file}"), "{target}");
        let executable = filled("bin-dir");
        assert!(listed.lines().any(|line| line == executable), "{target}: {executable}");
    }
}

#[test]
fn documents_name_the_current_version() {
    let version = env!("CARGO_PKG_VERSION");
    for document in [
        "docs/install.md",
        "examples/ci/README.md",
        "examples/ci/github-actions/README.md",
    ] {
        let text = fs::read_to_string(workspace_root().join(document)).unwrap();
        let marks = ["pipefold/pipefold@v", "pipefold/pipefold:", "pipefold_", "pipefold-0"];
        let found: Vec<&str> = marks
            .iter()
            .flat_map(|mark| {
                text.match_indices(mark)
                    .map(|(at, _)| &text[at + mark.trim_end_matches('0').len()..])
            })
            .collect();
        assert!(!found.is_empty(), "{document}");
        for rest in found {
            assert!(rest.starts_with(version), "{document}: {}", &rest[..rest.len().min(20)]);
        }
    }
}

#[test]
fn a_wheel_installs_the_executable_itself() {
    const NAME: &str = "a_wheel_installs_the_executable_itself";
    let Some(release) = release_or_skip(NAME) else { return };
    let place = tempfile::tempdir().unwrap();
    let output = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-index",
            "--ignore-installed",
            "--find-links",
        ])
        .arg(release)
        .args(["--prefix".as_ref(), place.path().as_os_str()])
        .arg("pipefold")
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        .env("PIP_BREAK_SYSTEM_PACKAGES", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("No module named pip") {
        return skipped(NAME, "python3 has no pip");
    }
    assert!(output.status.success(), "{output:?}");
    let binaries = if place.path().join("local").is_dir() {
        "local/bin"
    } else {
        "bin"
    };
    assert_reports(&place.path().join(binaries).join("pipefold"));
}

#[test]
fn npm_puts_the_executable_in_place_or_starts_it() {
    const NAME: &str = "npm_puts_the_executable_in_place_or_starts_it";
    let Some(release) = release_or_skip(NAME) else { return };
    if Command::new("npm").arg("--version").output().is_err() {
        return skipped(NAME, "npm is not installed");
    }
    for scripts in [true, false] {
        let place = tempfile::tempdir().unwrap();
        let output = Command::new("npm")
            .args(["install", "--global", "--offline", "--no-audit", "--no-fund", "--force"])
            .arg(format!("--ignore-scripts={}", !scripts))
            .args(["--prefix".as_ref(), place.path().as_os_str()])
            .arg(package(release, "pipefold-linux-", ".tgz"))
            .arg(package(
                release,
                &format!("pipefold-{}", env!("CARGO_PKG_VERSION")),
                ".tgz",
            ))
            .env("npm_config_cache", place.path().join("cache"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let command = place.path().join("bin/pipefold");
        let is_executable = fs::read(&command).unwrap().starts_with(b"\x7fELF");
        assert_eq!(is_executable, scripts);
        assert_reports(&command);
    }
}

#[test]
fn no_archive_has_a_path_twice() {
    let place = tempfile::tempdir().unwrap();
    let executable = place.path().join("executable");
    fs::write(&executable, "#!/bin/sh\n").unwrap();
    let out = place.path().join("out");
    if let Err(why) = pack(&out, &executable, "tar,npm,oci") {
        return skipped("no_archive_has_a_path_twice", &why);
    }
    let image = package(&out, "pipefold-", "-oci.tar");
    let unpacked = Command::new("tar").arg("-xf").arg(image).arg("-C").arg(&out).status();
    assert!(unpacked.unwrap().success());
    let mut checked = 0;
    for (path, bytes) in Ci::files(&out) {
        // Compressed archives by any name: a layer of the image has its digest's.
        if !bytes.starts_with(&[0x1f, 0x8b]) {
            continue;
        }
        let listed = Command::new("tar").arg("-tzf").arg(&path).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let mut paths: Vec<&str> = listed.lines().map(|line| line.trim_end_matches('/')).collect();
        paths.sort_unstable();
        let twice = paths.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "{}", path.display());
        checked += 1;
    }
    // The archive, the two packages of npm, and the layer.
    assert_eq!(checked, 4);
}

#[test]
fn the_archive_of_the_library_is_found_by_pkg_config() {
    let place = tempfile::tempdir().unwrap();
    let (executable, library) = (place.path().join("executable"), place.path().join("library"));
    fs::write(&executable, "#!/bin/sh\n").unwrap();
    fs::create_dir(&library).unwrap();
    for file in ["libpipefold.so", "libpipefold.a"] {
        fs::write(library.join(file), file).unwrap();
    }
    let out = place.path().join("out");
    if let Err(why) = pack(&out, &executable, "tar") {
        return skipped("the_archive_of_the_library_is_found_by_pkg_config", &why);
    }
    let packed = Command::new("python3")
        .arg(script("dist/pack.py"))
        .args(["--only", "lib", "--library"])
        .arg(format!("{}={}", std::env::consts::ARCH, library.display()))
        .args(["--out".as_ref(), out.as_os_str()])
        .output()
        .unwrap();
    assert!(packed.status.success(), "{packed:?}");
    let archive = package(&out, "pipefold-", &format!("-lib-{}.tar.gz", std::env::consts::ARCH));
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(archive)
        .arg("-C")
        .arg(place.path())
        .status();
    assert!(unpacked.unwrap().success());
    let version = env!("CARGO_PKG_VERSION");
    let root = place
        .path()
        .join(format!("pipefold-{version}-lib-{}", std::env::consts::ARCH));
    // By the name for programs, and by the one for linkers.
    for name in ["lib/libpipefold.so.1", "lib/libpipefold.so"] {
        assert_eq!(fs::read_to_string(root.join(name)).unwrap(), "libpipefold.so");
    }
    let header = fs::read(root.join("include/pipefold.h")).unwrap();
    assert_eq!(
        header,
        fs::read(workspace_root().join("host/c/include/pipefold.h")).unwrap()
    );
    let config = fs::read_to_string(root.join("lib/pkgconfig/pipefold.pc")).unwrap();
    assert!(
        config.contains(&format!("\nVersion: {version}\n")) && !config.contains('@'),
        "{config}"
    );
}

#[test]
fn equal_inputs_give_equal_packages() {
    let places = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut packages = Vec::new();
    for (number, place) in places.iter().enumerate() {
        let executable = place.path().join(format!("executable-{number}"));
        fs::write(&executable, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&executable, fs::Permissions::from_mode(0o700 + number as u32)).unwrap();
        let out = place.path().join("out");
        if let Err(why) = pack(&out, &executable, "tar,deb,wheel,npm,oci,wasm") {
            return skipped("equal_inputs_give_equal_packages", &why);
        }
        packages.push(Ci::files(&out));
    }
    assert!(packages[0].len() >= 7);
    let relative = |number: usize| {
        let out = places[number].path().join("out");
        packages[number]
            .iter()
            .map(move |(path, bytes)| (path.strip_prefix(&out).unwrap_or(path).to_owned(), bytes))
            .collect::<Vec<_>>()
    };
    assert_eq!(relative(0), relative(1));
}
