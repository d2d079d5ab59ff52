#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use super::parse::{BUILD_COMMANDS, parse_alone, parse_whole};
use super::*;

fn line(words: &str) -> Result<Cli, clap::Error> {
    parse(std::iter::once("pipefold").chain(words.split_whitespace()))
}

fn refused(words: &str) -> String {
    let error = line(words).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    error.to_string()
}

/// The help of a command, at a width that does not depend on the terminal of the test.
fn help(path: &[&str]) -> String {
    let mut command = definition().term_width(100);
    command.build();
    let found = path
        .iter()
        .try_fold(&mut command, |command, name| command.find_subcommand_mut(name));
    found.unwrap().clone().term_width(100).render_long_help().to_string()
}

#[test]
fn the_definition_is_sound() {
    parse::with_hidden(definition()).debug_assert();
}

/// Lines with each flag of a command, before and after its name, with values of several kinds, alone and beside others.
fn lines_of(command: &clap::Command) -> Vec<Vec<String>> {
    let name = command.get_name();
    let beside: &[&str] = match name {
        "exec" => &["--", "true"],
        "step" => &["--step", "a"],
        _ => &[],
    };
    let mut lines = vec![
        vec![name.to_owned()],
        vec![name.into(), "--help".into()],
        vec!["help".into(), name.into()],
    ];
    for arg in command.get_arguments() {
        let flags = arg.get_long().map(|long| format!("--{long}"));
        for flag in flags
            .into_iter()
            .chain(arg.get_short().map(|short| format!("-{short}")))
        {
            let words = |value: &str| flag.clone() + value;
            for given in ["", "=30s", "=-2"].map(words) {
                for beside in [beside, &[]] {
                    let beside = || beside.iter().map(|word| (*word).to_owned());
                    let (before, after) = ([given.clone(), name.into()], [name.into(), given.clone()]);
                    lines.push(before.into_iter().chain(beside()).collect());
                    lines.push(after.into_iter().chain(beside()).collect());
                }
            }
            for value in ["pipeline-finish", "step", "-x", "--json"] {
                lines.push(
                    [name, &flag, value]
                        .into_iter()
                        .chain(beside.iter().copied())
                        .map(Into::into)
                        .collect(),
                );
                lines.push(
                    [&flag, value, name]
                        .into_iter()
                        .chain(beside.iter().copied())
                        .map(Into::into)
                        .collect(),
                );
            }
        }
    }
    lines
}

#[test]
fn a_command_made_alone_reads_a_line_as_the_whole_definition_does() {
    let mut all = definition();
    all.build();
    let (mut right, mut wrong) = (0, 0);
    for (name, _) in BUILD_COMMANDS {
        let mut lines = lines_of(all.find_subcommand(name).unwrap());
        for other in ["status", "component", "serve", "tokn", "exec"] {
            lines.push(vec![other.into(), name.into()]);
            lines.push(vec!["--spool".into(), name.into(), other.into()]);
        }
        for line in lines {
            let line: Vec<OsString> = ["pipefold".to_owned()]
                .into_iter()
                .chain(line)
                .map(Into::into)
                .collect();
            let alone = parse_alone(&line).map(|cli| format!("{cli:?}"));
            match (alone, parse_whole(&line)) {
                (Some(alone), whole) => {
                    right += 1;
                    assert_eq!(alone, format!("{:?}", whole.unwrap()), "{line:?}");
                }
                // Such as a value that begins with a dash: read by the whole definition alone.
                (None, _) => wrong += 1,
            }
        }
    }
    assert!(right > 500 && wrong > 500, "{right} {wrong}");
}

#[test]
fn a_build_pays_for_one_command() {
    for line in [
        "exec -- true",
        "start --pipeline-name p",
        "--spool /s step --step a --status success",
        "finish --status success",
        "flush",
        "status --json",
        "hook step",
    ] {
        let line: Vec<OsString> = std::iter::once("pipefold")
            .chain(line.split(' '))
            .map(Into::into)
            .collect();
        assert!(parse_alone(&line).is_some(), "{line:?}");
    }
}

#[test]
fn the_compile_worker_is_parsed() {
    let cli = line("--spool /s component compile-worker -v").unwrap();
    let Command::Component(args) = cli.command else {
        panic!("{:?}", cli.command)
    };
    assert!(matches!(args.command, ComponentCommand::CompileWorker));
    assert_eq!(
        (cli.global.spool.as_deref(), cli.global.verbose),
        (Some(Path::new("/s")), 1)
    );
}

#[test]
fn help_texts() {
    for path in [
        &[] as &[&str],
        &["exec"],
        &["start"],
        &["step"],
        &["finish"],
        &["flush"],
        &["status"],
        &["hook"],
        &["import"],
        &["doctor"],
        &["component"],
        &["component", "inspect"],
        &["component", "compile"],
        &["component", "embed"],
        &["policy"],
        &["policy"],
        &["policy", "new"],
        &["policy", "test"],
        &["policy", "explain"],
        &["policy", "verify"],
        &["serve"],
        &["token"],
        &["token", "add"],
        &["token", "list"],
        &["token", "revoke"],
        &["source"],
        &["source", "list"],
        &["source", "test"],
        &["gocd"],
        &["gocd", "sync"],
        &["gocd", "watch"],
        &["queue"],
        &["queue", "init"],
        &["queue", "check"],
        &["forward"],
        &["forward", "rejected"],
        &["forward", "rejected", "list"],
        &["forward", "rejected", "retry"],
        &["forward", "rejected", "drop"],
        &["completions"],
        &["man"],
    ] {
        let text = help(path);
        // The commands about a run obey every global flag; these are in the first snapshot only.
        let has_all = matches!(path, ["exec" | "start" | "step" | "finish"]);
        let own = if has_all { without_global(&text) } else { text };
        insta::assert_snapshot!(format!("help_{}", path.join("_")), own);
    }
}

fn without_global(text: &str) -> String {
    let (before, global) = text.split_once("Reporting:\n").unwrap();
    let after = global.split_once("Print nothing on stderr but errors\n").unwrap().1;
    format!("{before}(Reporting)\n{after}")
}

#[test]
fn flags_that_a_command_does_not_obey_are_refused() {
    for (words, flags) in [
        ("flush --dry-run", "--dry-run does nothing in `pipefold flush`"),
        ("flush --export f --dry-run", "--dry-run does nothing"),
        ("--dry-run flush --import f", "--dry-run does nothing"),
        ("status --local --dry-run", "--local and --dry-run do nothing"),
        (
            "token add x --dry-run",
            "--dry-run does nothing in `pipefold token add`",
        ),
        (
            "queue init --dry-run",
            "--dry-run does nothing in `pipefold queue init`",
        ),
        ("forward --dry-run", "--dry-run does nothing"),
        ("forward rejected drop --all --dry-run", "--dry-run does nothing"),
        ("forward --spool s", "--spool does nothing"),
        ("--local serve", "--local does nothing"),
        ("serve --dx-url https://x.getdx.net", "--dx-url does nothing"),
        ("hook step --spool s", "--spool does nothing"),
        ("doctor --dry-run", "--dry-run does nothing"),
        ("component inspect f --policy p", "--policy does nothing"),
        ("policy test f c --policy p", "--policy does nothing"),
        ("import f --spool s", "--spool does nothing"),
        ("man --json", "--json does nothing"),
    ] {
        let message = refused(words);
        assert!(message.contains(flags), "{words}: {message}");
    }
    for words in [
        "gocd sync --dry-run",
        "exec --dry-run --json -- true",
        "doctor --local",
        "forward rejected list --json",
    ] {
        line(words).unwrap();
    }
}

#[test]
fn fields_stay_as_given() {
    let cli = line("start --pipeline-name= --reference-id a:1 --pr-number -5 --started-at yesterday").unwrap();
    let Command::Start(args) = cli.command else {
        panic!("{:?}", cli.command)
    };
    let fields = args.fields;
    assert_eq!(fields.pipeline_name.as_deref(), Some(""));
    assert_eq!(fields.reference_id.as_deref(), Some("a:1"));
    assert_eq!(fields.pr_number.as_deref(), Some("-5"));
    assert_eq!(fields.started_at.as_deref(), Some("yesterday"));
    assert_eq!(fields.repository, None);
}

#[test]
fn a_branch_that_is_not_utf8_does_not_stop_a_build() {
    let branch = OsString::from_vec(b"--head-branch=caf\xe9".to_vec());
    let words = ["pipefold", "exec"].map(OsString::from).into_iter();
    let cli = parse(words.chain([branch, "--".into(), OsString::from_vec(b"\xff".to_vec())])).unwrap();
    let Command::Exec(args) = cli.command else {
        panic!("{:?}", cli.command)
    };
    assert_eq!(args.fields.head_branch.as_deref(), Some("caf\u{fffd}"));
    assert_eq!(
        args.command,
        [OsString::from_vec(b"\xff".to_vec())],
        "the command's bytes are its own"
    );
}

#[test]
fn arguments_after_two_dashes_belong_to_the_command() {
    let cli = line("exec --json -- make --strict -- --token x --policy p").unwrap();
    assert!(cli.global.json && !cli.global.strict && cli.global.policies.is_empty());
    let Command::Exec(args) = cli.command else {
        panic!("{:?}", cli.command)
    };
    assert_eq!(
        args.command,
        ["make", "--strict", "--", "--token", "x", "--policy", "p"]
    );
}

#[test]
fn global_flags_stand_on_either_side() {
    for words in ["--spool /s -vv --dry-run start", "start --spool /s -vv --dry-run"] {
        let global = line(words).unwrap().global;
        assert_eq!(
            (global.spool.as_deref(), global.verbose, global.dry_run),
            (Some(Path::new("/s")), 2, true)
        );
    }
}

#[test]
fn no_policy_is_left_out() {
    for words in ["--policy a --policy=b status", "status --policy a --policy=b"] {
        assert_eq!(line(words).unwrap().global.policies, ["a", "b"]);
    }
    assert!(refused("--policy a status --policy b").contains("on one side"));
}

#[test]
fn a_token_is_refused_and_not_shown() {
    for words in [
        "start --token hush",
        "--token=hush start",
        "start --dx-api-token -hush",
        "exec --api-token hush -- true",
        "start --token a --dx-token hush",
        "component --token hush inspect x",
    ] {
        let message = refused(words);
        assert!(message.contains("use DX_API_TOKEN or --token-file"), "{message}");
        assert!(!message.contains("hush"), "{message}");
    }
    for words in [
        "gocd sync --password hush",
        "gocd watch --server http://x --access-token=hush",
        "gocd sync --password=a --password hush",
    ] {
        let message = refused(words);
        assert!(message.contains("use GOCD_PASSWORD or --password-file"), "{message}");
        assert!(!message.contains("hush"), "{message}");
    }
    for words in ["start --tokn=hush", "start --tokn hush"] {
        assert!(!refused(words).contains("hush"));
    }
}

#[test]
fn a_command_goes_after_two_dashes() {
    for words in ["exec", "exec --", "exec make test", "step --step a make"] {
        let message = refused(words);
        assert!(message.contains("the command goes after `--`"), "{words}: {message}");
    }
    for words in ["step", "exec --no-such-flag -- make", "start make"] {
        assert!(!refused(words).contains("goes after"), "{words}");
    }
}

#[test]
fn contradicting_flags_are_refused() {
    refused("step --step a --status failure -- make");
    refused("flush --export a --import b");
    refused("status -v -q");
    refused("step --status success");
    refused("hook other");
    refused("");
}

#[test]
fn errors_about_flags_of_a_fleet_name_the_right_values() {
    let lines = [
        "queue init --replicas 2",
        "queue init --replicas -1",
        "queue init --replicas three",
        "queue init --max-size 0",
        "queue init --max-size -1",
        "queue init --max-size 9223372036854775808",
        "queue init --max-size 1.5GiB",
        "forward --rate 0",
        "forward --rate -1",
        "forward --rate 10/s",
        "forward --window 11m",
        "forward --window soon",
        "forward --concurrency 0",
        "forward --concurrency many",
        "forward --listen 9642",
        "forward --listen localhost:9642",
        "forward --listen-anywhere",
        "forward rejected list --limit -1",
        "forward rejected list --limit all",
        "forward rejected retry first",
        "forward rejected retry -1",
        "forward rejected retry 1 --all",
        "forward rejected drop",
        "forward rejected drop 1 --all",
    ];
    let errors = lines.map(|line| {
        let error = refused(line);
        let end = error.find("\n\nUsage").or_else(|| error.find("\n\nFor more"));
        format!("{line}\n    {}\n", &error[..end.unwrap_or(error.len())])
    });
    insta::assert_snapshot!("wrong_flags_of_a_fleet", errors.join(""));
}
