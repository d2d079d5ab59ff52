//! What the git repository around a directory says: read from its files, so that no program runs and nothing that its configuration names
//! is started. Every read is bounded, and what cannot be read is absent.

mod config;
mod find;
mod head;

use std::path::Path;

use crate::source::Environment;

/// What was found out. Values are as they stand in git's files, with nothing taken off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Git {
    /// Name of the directory that was checked out.
    pub(super) directory: Option<String>,
    /// Address of the remote `origin`, else of the only one.
    pub(super) remote: Option<String>,
    /// The branch; none if HEAD is detached.
    pub(super) branch: Option<String>,
    /// The commit; none if there is none yet.
    pub(super) commit: Option<String>,
    /// `user.email`, of the repository, else of the user.
    pub(super) email: Option<String>,
}

/// Reads the repository that `directory` lies in. Outside of one only the e-mail address is known.
pub(super) fn read(environment: &Environment, directory: &Path) -> Git {
    let mut git = Git::default();
    if let Some(place) = find::find(directory) {
        let configuration = config::read(&place.common.join("config"));
        git.directory = place
            .worktree
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        git.remote = configuration.remote();
        (git.branch, git.commit) = head::read(&place);
        git.email = configuration.email;
    }
    if git.email.is_none() {
        git.email = of_the_user(environment);
    }
    git
}

/// The commit that was fetched of the one that was built in `directory` ([`head::fetched`]).
pub(super) fn fetched(directory: &Path, built: &str) -> Option<String> {
    head::fetched(&find::find(directory)?, built)
}

/// The whole name of a commit that is or was checked out in `directory`, from the beginning of it.
pub(super) fn whole(directory: &Path, beginning: &str) -> Option<String> {
    let place = find::find(directory)?;
    let (_, head) = head::read(&place);
    head.filter(|head| head.starts_with(beginning))
        .or_else(|| head::begins_with(&place, beginning))
}

/// The machine's name, where it is kept in a file (hostname(5)).
pub(super) fn host_name() -> Option<String> {
    find::line(Path::new("/etc/hostname"))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
}

/// The files that git reads for a user (git-config(1), FILES), the first one to count first.
fn of_the_user(environment: &Environment) -> Option<String> {
    let home = environment.absolute_path("HOME");
    let files = match environment.absolute_path("GIT_CONFIG_GLOBAL") {
        Some(file) => vec![file],
        None => {
            let xdg = environment
                .absolute_path("XDG_CONFIG_HOME")
                .or_else(|| home.as_ref().map(|home| home.join(".config")));
            let files = [
                home.map(|home| home.join(".gitconfig")),
                xdg.map(|xdg| xdg.join("git/config")),
            ];
            files.into_iter().flatten().collect()
        }
    };
    files.iter().find_map(|file| config::read(file).email)
}

#[cfg(test)]
mod tests;
