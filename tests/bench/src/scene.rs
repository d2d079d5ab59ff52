//! A server that stands in for DX, a spool, and the commands to be measured there.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use dx_standin::{Mode, Standin};

/// One place to measure in.
pub(crate) struct Scene {
    dx: Standin,
    pipefold: PathBuf,
    directory: PathBuf,
    /// The file with what `curl` posts: the body that `start` posted.
    body: PathBuf,
}

impl Scene {
    /// A place under `directory`, which is made.
    pub(crate) fn new(dx: Standin, pipefold: &Path, directory: PathBuf) -> Result<Self> {
        std::fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        // Given by `--config`, so that this machine's own is not read.
        std::fs::write(directory.join("operator.toml"), "").context("cannot write the operator's file")?;
        let body = directory.join("body.json");
        Ok(Self {
            dx,
            pipefold: pipefold.to_owned(),
            directory,
            body,
        })
    }

    /// The spool.
    pub(crate) fn spool(&self) -> PathBuf {
        self.directory.join("spool")
    }

    /// The cache of compiled policies.
    pub(crate) fn cache(&self) -> PathBuf {
        self.directory.join("cache")
    }

    /// From now on the server reads requests and never answers.
    pub(crate) fn hang(&self) {
        self.answer(Mode::Hang);
    }

    /// Sets the server's way to answer.
    pub(crate) fn answer(&self, mode: Mode) {
        self.dx.set_mode(mode);
    }

    /// The number of jobs that DX has of a run.
    pub(crate) fn jobs(&self, run: &str) -> usize {
        self.dx.jobs(run).len()
    }

    /// Takes the body of the latest request for `curl`.
    pub(crate) fn learn_body(&self) -> Result<()> {
        let requests = self.dx.requests();
        let request = requests.last().context("the server got no request")?;
        std::fs::write(&self.body, &request.body).with_context(|| format!("cannot write {}", self.body.display()))
    }

    /// Checks that DX would show every one of these runs as a success: the measured work was really done.
    pub(crate) fn check(&self, runs: impl IntoIterator<Item = String>) -> Result<()> {
        let records = self.dx.records();
        for run in runs {
            let status = records.get(&run).map(|record| record.status.as_str());
            ensure!(
                status == Some("success"),
                "the server's record of {run} says {status:?}, and not success"
            );
        }
        Ok(())
    }

    /// `pipefold start`
    pub(crate) fn start(&self, run: &str) -> Command {
        self.report(run, "start", &[])
    }

    /// `pipefold start` on a machine where there is no spool yet.
    pub(crate) fn first_start(&self, run: &str) -> Command {
        let mut command = self.start(run);
        command.env("PIPEFOLD_SPOOL", self.directory.join(format!("spool-{run}")));
        command
    }

    /// `pipefold step` without a command
    pub(crate) fn step(&self, run: &str) -> Command {
        self.named_step(run, "compile")
    }

    /// `pipefold step` without a command, of this step
    pub(crate) fn named_step(&self, run: &str, step: &str) -> Command {
        self.report(run, "step", &["--step", step, "--status", "success"])
    }

    /// `pipefold finish`
    pub(crate) fn finish(&self, run: &str) -> Command {
        self.report(run, "finish", &["--status", "success"])
    }

    /// `pipefold exec -- true`
    pub(crate) fn exec(&self, run: &str) -> Command {
        self.report(run, "exec", &["--", "true"])
    }

    /// `pipefold exec` around a program with one argument
    pub(crate) fn exec_of(&self, run: &str, program: &OsStr, argument: &Path) -> Command {
        let mut command = self.report(run, "exec", &["--"]);
        command.arg(program).arg(argument);
        command
    }

    /// The request of `start`, as DX's page shows it.
    pub(crate) fn curl(&self) -> Command {
        let mut command = quiet("curl");
        // `-q`: no settings of this machine.
        command.args(["-q", "-sS", "-f", "-X", "POST"]);
        command.args(["-H", "Content-Type: application/json"]);
        command.arg("-H");
        command.arg(format!("Authorization: Bearer {}", self.dx.token()));
        command.arg("-d").arg(format!("@{}", self.body.display()));
        if !self.dx.ca_pem().is_empty() {
            command.arg("--cacert").arg(self.dx.ca_file());
        }
        command.arg(format!("{}/api/pipelineRuns.upsert", self.dx.url()));
        command
    }

    /// A command with what a CI job says about its run. The fields are those of a usual one, as many as DX's page shows in its example.
    fn report(&self, run: &str, name: &str, more: &[&str]) -> Command {
        let mut command = quiet(&self.pipefold);
        command.arg("--config").arg(self.directory.join("operator.toml"));
        command.arg(name);
        command.args(["--pipeline-name", "integration_tests", "--pipeline-source", "Tekton"]);
        command.args(["--reference-id", run]);
        command.args(["--repository", "getdx/some_repo", "--pr-number", "417"]);
        command.args(["--commit-sha", "7f3a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a"]);
        command.args(["--source-url", "https://ci.example/runs/417", "--head-branch", "main"]);
        command.args(["--email", "john@getdx.com"]);
        command.args(more);
        command.env("DX_API_URL", self.dx.url());
        command.env("DX_API_TOKEN", self.dx.token());
        command.env("PIPEFOLD_SPOOL", self.spool());
        if !self.dx.ca_pem().is_empty() {
            command.env("PIPEFOLD_CA_FILE", self.dx.ca_file());
        }
        command
    }
}

/// A program with no variable but `PATH`, whose output goes nowhere.
pub(crate) fn quiet(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
