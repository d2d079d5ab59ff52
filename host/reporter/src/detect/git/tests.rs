//! Repositories as git lays them out, and hostile ones.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

const ID: &str = "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d";

struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(machine.path("repo/deep")).unwrap();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn with(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
        self
    }

    fn read(&self, variables: &[(&str, &Path)]) -> Git {
        read(
            &Environment::from_pairs(variables.iter().copied()),
            &self.path("repo/deep"),
        )
    }

    fn head(&self) -> (Option<String>, Option<String>) {
        let git = self.read(&[]);
        (git.branch, git.commit)
    }
}

fn some(branch: &str, commit: &str) -> (Option<String>, Option<String>) {
    (Some(branch.into()), Some(commit.into()))
}

#[test]
fn a_repository_is_found_from_below() {
    let git = Machine::new()
        .with("repo/.git/HEAD", "ref: refs/heads/feature/x\n")
        .with("repo/.git/refs/heads/feature/x", format!("{ID}\n"))
        .with("repo/.git/config", "[remote \"origin\"]\nurl = u\n[user]\nemail = e\n")
        .read(&[]);
    let text = |text: &str| Some(text.to_owned());
    let expected = Git {
        directory: text("repo"),
        remote: text("u"),
        branch: text("feature/x"),
        commit: text(ID),
        email: text("e"),
    };
    assert_eq!(git, expected);
}

#[test]
fn packed_refs_and_a_detached_head_are_read() {
    let packed = format!(
        "# pack-refs with: peeled\n{ID} refs/tags/v1\n^{ID}\n{} refs/heads/main\n",
        ID.replace('7', "8")
    );
    let machine = Machine::new()
        .with("repo/.git/HEAD", "ref: refs/heads/main\n")
        .with("repo/.git/packed-refs", packed);
    assert_eq!(machine.head(), some("main", &ID.replace('7', "8")));
    let machine = machine.with("repo/.git/refs/heads/main", ID);
    assert_eq!(machine.head(), some("main", ID), "a loose ref is the newer one");
    let machine = machine.with("repo/.git/HEAD", ID);
    assert_eq!(machine.head(), (None, Some(ID.into())));
}

#[test]
fn a_new_repository_has_a_branch_and_no_commit() {
    let machine = Machine::new().with("repo/.git/HEAD", "ref: refs/heads/main\n");
    assert_eq!(machine.head(), (Some("main".into()), None));
}

#[test]
fn a_linked_worktree_has_its_own_head_and_shares_the_rest() {
    let machine = Machine::new()
        .with("main/.git/HEAD", "ref: refs/heads/main\n")
        .with("main/.git/config", "[remote \"origin\"]\nurl = u\n")
        .with("main/.git/refs/heads/topic", ID)
        .with("main/.git/worktrees/repo/HEAD", "ref: refs/heads/topic\n")
        .with("main/.git/worktrees/repo/commondir", "../..\n")
        .with("repo/.git", "gitdir: ../main/.git/worktrees/repo\n");
    assert_eq!(machine.head(), some("topic", ID));
    assert_eq!(machine.read(&[]).remote.as_deref(), Some("u"));
}

#[test]
fn the_user_s_own_address_is_the_second_choice() {
    let machine = Machine::new()
        .with("home/.gitconfig", "[user]\nemail = home\n")
        .with("home/.config/git/config", "[user]\nemail = xdg\n")
        .with("global", "[user]\nemail = global\n");
    let (home, global) = (machine.path("home"), machine.path("global"));
    let email = |variables: &[(&str, &Path)]| machine.read(variables).email;
    assert_eq!(email(&[("HOME", &home)]).as_deref(), Some("home"));
    assert_eq!(
        email(&[("HOME", &home), ("GIT_CONFIG_GLOBAL", &global)]).as_deref(),
        Some("global")
    );
    fs::remove_file(home.join(".gitconfig")).unwrap();
    assert_eq!(email(&[("HOME", &home)]).as_deref(), Some("xdg"));
    let machine = machine
        .with("repo/.git/HEAD", "ref: refs/heads/main\n")
        .with("repo/.git/config", "[user]\nemail = repo\n");
    assert_eq!(machine.read(&[("HOME", &home)]).email.as_deref(), Some("repo"));
}

/// Git's record of HEAD after it checked a commit out, merged another into it, and checked the result out.
fn reflog(head: &str, merge: &str) -> String {
    let who = "Jenkins <nobody@nowhere> 1767225600 +0000";
    format!(
        "{} {head} {who}\tcheckout: moving from main to {head}\n{head} {merge} {who}\tmerge 0540b06: Merge made by the 'ort' strategy.\n\
         {merge} {merge} {who}\tcheckout: moving from {merge} to {merge}\n",
        "0".repeat(40)
    )
}

#[test]
fn merged_commits_are_distinguished_from_fetched_ones() {
    let merge = ID.replace('7', "8");
    let machine = Machine::new()
        .with("repo/.git/HEAD", &merge)
        .with("repo/.git/logs/HEAD", reflog(ID, &merge));
    let fetched = |commit: &str| fetched(&machine.path("repo/deep"), commit);
    assert_eq!(fetched(&merge).as_deref(), Some(ID));
    assert_eq!(
        fetched(ID).as_deref(),
        Some(ID),
        "a commit with two parents, too, if it was fetched so"
    );
    assert_eq!(fetched(&ID.replace('7', "9")), None);
    assert_eq!(super::fetched(&machine.path("elsewhere"), ID), None);
}

#[test]
fn a_shortened_commit_is_completed_from_head_and_its_record() {
    let merge = ID.replace('7', "8");
    let machine = Machine::new()
        .with("repo/.git/HEAD", &merge)
        .with("repo/.git/logs/HEAD", reflog(ID, &merge));
    let whole = |beginning: &str| whole(&machine.path("repo"), beginning);
    assert_eq!(whole(&merge[..12]), Some(merge.clone()));
    assert_eq!(whole(&ID[..12]).as_deref(), Some(ID));
    assert_eq!(whole("123456789012"), None);
    let broken = machine.with("repo/.git/logs/HEAD", "x\n\n0 1\t\n\u{fffd}");
    assert_eq!(super::whole(&broken.path("repo"), &ID[..12]), None);
}

#[test]
fn hostile_ref_names_are_not_followed() {
    let machine = Machine::new().with("repo/secret", ID);
    for name in [
        "refs/heads/../../../secret",
        "../secret",
        "/etc/passwd",
        "refs//heads",
        "refs/heads/.invalid",
        "refs/heads/a\\b",
    ] {
        let machine = Machine::new()
            .with("repo/.git/HEAD", format!("ref: {name}\n"))
            .with("repo/secret", ID);
        assert_eq!(machine.head(), (None, None), "{name}");
    }
    for head in ["", "x", "7fd1a60", &"a".repeat(41), "ref:", "\u{1b}", &"0".repeat(5000)] {
        assert_eq!(
            Machine::new().with("repo/.git/HEAD", head).head(),
            (None, None),
            "{head}"
        );
    }
    assert_eq!(machine.read(&[]), Git::default());
}

#[cfg(unix)]
#[test]
fn pipes_and_large_files_give_nothing() {
    let machine = Machine::new().with("repo/.git/HEAD", "ref: refs/heads/main\n").with(
        "repo/.git/config",
        format!("[user]\nemail = a\n{}", "#".repeat(2 << 20)),
    );
    let fifo = machine.path("repo/.git/packed-refs");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert_eq!(machine.head(), (Some("main".into()), None));
    assert_eq!(machine.read(&[]).email, None);
    for dot_git in ["", "gitdir: ", "gitdir: /nowhere", "gitdir: /dev/null"] {
        let machine = Machine::new().with("repo/.git", dot_git);
        assert_eq!(machine.head(), (None, None), "{dot_git}");
    }
}
