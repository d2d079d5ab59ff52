//! The flags that several commands have, the readers of their values, and which command obeys which.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command};
use pipefold::config::{JobChoice, parse_most_jobs};

/// The flags of all commands, before or after the command's name.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reporting")]
pub struct GlobalFlags {
    /// Address of DX [env: DX_API_URL]
    ///
    /// The base address of DX's web API, or of a collector that speaks it. Plain http only to this machine.
    #[arg(long, global = true, value_name = "URL", value_parser = text())]
    pub dx_url: Option<String>,

    /// File that holds the token [env: DX_API_TOKEN, the token itself]
    ///
    /// A file that anyone may write is refused.
    #[arg(long, global = true, value_name = "FILE", value_parser = path())]
    pub token_file: Option<PathBuf>,

    /// Certificates to trust besides the system's (PEM)
    #[arg(long, global = true, value_name = "FILE", value_parser = path())]
    pub ca_file: Option<PathBuf>,

    /// Report into this queue instead of DX: NATS servers, with commas between them [env: PIPEFOLD_QUEUE]
    ///
    /// `tls://nats-1.example.com:4222`, or `nats://` on this machine. `pipefold forward` delivers from there to DX. Needs a build with the
    /// feature `fleet`.
    #[arg(long, global = true, value_name = "URL", value_parser = text())]
    pub queue: Option<String>,

    /// Credentials of a NATS user for the queue
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "queue_token_file", value_parser = path())]
    pub queue_credentials: Option<PathBuf>,

    /// File that holds the token of the NATS servers
    #[arg(long, global = true, value_name = "FILE", value_parser = path())]
    pub queue_token_file: Option<PathBuf>,

    /// Directory that keeps records until DX has them [env: PIPEFOLD_SPOOL]
    ///
    /// By default the CI system's temporary directory of the job, else $XDG_STATE_HOME/pipefold, else a directory of your own in the
    /// temporary directory. Where a runner dies with its job, put it on a volume.
    #[arg(long, global = true, value_name = "DIR", value_parser = path())]
    pub spool: Option<PathBuf>,

    /// Configuration file, instead of /etc/pipefold.toml [env: PIPEFOLD_CONFIG]
    #[arg(long, global = true, value_name = "FILE", value_parser = path())]
    pub config: Option<PathBuf>,

    /// WebAssembly policy to apply before the built-in rules (repeatable) [env: PIPEFOLD_POLICY]
    ///
    /// A component that sees each notification first and may change or drop it. With @sha256:… the file must have that digest. The
    /// variable names several with commas between them. Policies of the configuration come first, then the variable's, then the flags';
    /// none replaces another. Notifications recorded under policies are sent only through them.
    #[arg(long = "policy", global = true, value_name = "FILE[@sha256:…]", value_parser = text())]
    pub policies: Vec<String>,

    /// Directory of compiled policies [env: PIPEFOLD_POLICY_CACHE]
    ///
    /// By default $XDG_CACHE_HOME/pipefold, else ~/.cache/pipefold, else a directory of your own in the temporary directory. It must
    /// belong to you or to root, and be writable by the owner alone. `component compile` fills it.
    #[arg(long, global = true, value_name = "DIR", value_parser = path())]
    pub policy_cache: Option<PathBuf>,

    /// Steps to send to DX as jobs of their run [default: all] [env: PIPEFOLD_JOBS]
    #[arg(long, global = true, value_name = "WHICH", value_parser = job_choice())]
    pub jobs: Option<JobChoice>,

    /// The most jobs of one run to send, up to 10000 [default: 100] [env: PIPEFOLD_MOST_JOBS]
    ///
    /// Of more jobs, those that failed come first, then those that took longest.
    #[arg(long, global = true, value_name = "NUMBER", value_parser = parse_most_jobs)]
    pub most_jobs: Option<usize>,

    /// Report runs outside CI, using data from git [env: PIPEFOLD_LOCAL=true]
    ///
    /// Without this flag, a command outside CI reports nothing unless --pipeline-name, --pipeline-source or --reference-id (or their
    /// variables) name the run. With it, repository, branch, commit and e-mail address come from the git repository around the working
    /// directory, and the source is `local`. In a CI system it changes nothing.
    #[arg(long, global = true)]
    pub local: bool,

    /// Print the request, token hidden, and send nothing
    #[arg(long, global = true)]
    pub dry_run: bool,

    /// Answer in JSON on stdout
    #[arg(long, global = true)]
    pub json: bool,

    /// Exit non-zero if reporting fails
    ///
    /// Exit code 2 for bad input and 1 for other failures, instead of a warning and 0. The exit code of a wrapped command is passed on all
    /// the same, unless it is 0; with bad input the command is not run at all.
    #[arg(long, global = true)]
    pub strict: bool,

    /// Print more on stderr; up to -vvv
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,

    /// Print nothing on stderr but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// The fields of a run: the arguments of DX's `pipelineRuns.upsert` except `status`, as they were given and unchecked.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Run fields")]
pub struct FieldFlags {
    /// Name of the pipeline
    ///
    /// Each field is also read from an environment variable, PIPEFOLD_ and its name: PIPEFOLD_PIPELINE_NAME. A flag beats the variable, which
    /// beats pipefold.toml, which beats the data of the CI system. PIPEFOLD_PIPELINE_NAME_TEMPLATE, or `pipeline_name` in the table `[templates]`
    /// of pipefold.toml, makes the name of that data: '{repository}: {workflow}'.
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub pipeline_name: Option<String>,

    /// System that runs the pipeline, such as Jenkins
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub pipeline_source: Option<String>,

    /// Globally unique name of the run
    ///
    /// Everything reported with the same one is one run. PIPEFOLD_REFERENCE_ID_TEMPLATE makes it of the CI system's data:
    /// '{repository}/{run}/{attempt}'.
    #[arg(long, value_name = "ID", value_parser = text())]
    pub reference_id: Option<String>,

    /// Start of the run, ISO 8601 (default: now)
    #[arg(long, value_name = "TIME", value_parser = text())]
    pub started_at: Option<String>,

    /// End of the run, ISO 8601 (default: now, at the end)
    #[arg(long, value_name = "TIME", value_parser = text())]
    pub finished_at: Option<String>,

    /// Repository with its owner, such as getdx/some_repo
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub repository: Option<String>,

    /// Commit that is built
    #[arg(long, value_name = "SHA", value_parser = text())]
    pub commit_sha: Option<String>,

    /// Pull request that is built
    #[arg(long, value_name = "NUMBER", value_parser = text(), allow_negative_numbers = true)]
    pub pr_number: Option<String>,

    /// Address of a page that shows the run
    #[arg(long, value_name = "URL", value_parser = text())]
    pub source_url: Option<String>,

    /// Branch that is built
    #[arg(long, value_name = "BRANCH", value_parser = text())]
    pub head_branch: Option<String>,

    /// E-mail address of the person who started the run
    #[arg(long, value_name = "ADDRESS", value_parser = text())]
    pub email: Option<String>,

    /// GitHub user name of that person
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub github_username: Option<String>,

    /// GitLab user name of that person
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub gitlab_username: Option<String>,

    /// A fact that DX has no field for, such as team=payments (repeatable) [env: PIPEFOLD_ATTRIBUTES]
    ///
    /// Policies see and change attributes, and collectors keep and show them; they are not sent to DX. The variable holds one KEY=VALUE a
    /// line; pipefold.toml has a table `[attributes]`. At most 32, keys of a-z, 0-9, dot, underscore and hyphen.
    #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = text())]
    pub attributes: Vec<String>,
}

/// Reads text. Bytes that are not UTF-8, as a branch's name may have, become U+FFFD and do not stop a build.
pub fn text() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|value| value.to_string_lossy().into_owned())
}

/// Reads a number within bounds.
pub fn number_within(least: f64, most: f64) -> impl Fn(&str) -> Result<f64, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("give a number from {least} to {most}"))
    }
}

/// Reads one of the words for the jobs to send.
fn job_choice() -> impl TypedValueParser<Value = JobChoice> {
    PossibleValuesParser::new(JobChoice::WORDS).try_map(|word| word.parse())
}

/// Reads a path. An empty one, as from an empty variable, counts as absent and does not stop a build.
pub fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

const DX: &[&str] = &["dx_url", "token_file", "ca_file"];
const QUEUE: &[&str] = &["queue", "queue_credentials", "queue_token_file"];
const POLICIES: &[&str] = &["config", "policies", "policy_cache"];
const JOBS: &[&str] = &["jobs", "most_jobs"];
const OUTPUT: &[&str] = &["verbose", "quiet"];

/// Flags that have no effect in a command without configuration and messages: a script may give them to every command.
const HARMLESS: &[&str] = &["config", "verbose", "quiet"];

/// True if a command obeys a flag. `path` has the names of the command, without the program's.
fn obeys(path: &[&str], flag: &str) -> bool {
    let groups: &[&[&str]] = match path {
        ["exec" | "start" | "step" | "finish"] | [] => return true,
        // The command starts this process itself, with all flags that it was given.
        ["component", "compile-worker"] => return true,
        ["flush"] => &[DX, QUEUE, POLICIES, JOBS, OUTPUT, &["spool", "json", "strict"]],
        ["status"] => &[DX, QUEUE, POLICIES, OUTPUT, &["spool", "json", "strict"]],
        ["doctor"] => &[DX, QUEUE, POLICIES, OUTPUT, &["spool", "json", "strict", "local"]],
        ["gocd", ..] => &[
            DX,
            QUEUE,
            POLICIES,
            JOBS,
            OUTPUT,
            &["spool", "json", "strict", "dry_run"],
        ],
        ["import"] => &[DX, QUEUE, POLICIES, OUTPUT, &["jobs", "json", "strict", "dry_run"]],
        ["hook"] => &[POLICIES, OUTPUT, &["json"]],
        ["component", "inspect" | "embed"] => &[OUTPUT, &["json"]],
        ["component", ..] => &[OUTPUT, &["json", "policy_cache"]],
        ["policy", "new" | "verify"] => &[OUTPUT, &["json"]],
        ["policy", "explain"] => &[POLICIES, OUTPUT, &["json", "local"]],
        ["policy", ..] => &[OUTPUT, &["json", "policy_cache"]],
        ["serve"] => &[QUEUE, POLICIES, OUTPUT, &["token_file", "ca_file", "json"]],
        ["token", ..] => &[OUTPUT, &["json"]],
        ["source", ..] => &[POLICIES, OUTPUT, &["json"]],
        ["forward"] => &[DX, QUEUE, POLICIES, OUTPUT],
        ["forward", "rejected", ..] => &[QUEUE, OUTPUT, &["ca_file", "config", "json"]],
        ["queue", ..] => &[QUEUE, OUTPUT, &["ca_file", "config", "json", "strict"]],
        _ => &[],
    };
    groups.concat().contains(&flag)
}

/// The definition, in which each command shows only the flags that it obeys.
pub fn without_disobeyed(command: Command) -> Command {
    let flags: Vec<Arg> = GlobalFlags::augment_args(Command::new(""))
        .get_arguments()
        .cloned()
        .collect();
    hide(command, &mut Vec::new(), &flags)
}

/// Gives each command below `path` a hidden copy of the flags that it does not obey: the library does not hand down a flag that a command
/// has itself.
fn hide(command: Command, path: &mut Vec<String>, flags: &[Arg]) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| {
        path.push(name.clone());
        let command = command.mut_subcommand(name, |sub| {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let hidden = flags.iter().filter(|flag| !obeys(&path, flag.get_id().as_str()));
            sub.args(hidden.map(|flag| flag.clone().hide(true)))
        });
        let command = command.mut_subcommand(path[path.len() - 1].clone(), |sub| hide(sub, path, flags));
        path.pop();
        command
    })
}

/// The error for a line that gives a command flags that it does not obey, if any: a user who gives one expects an effect.
pub fn refusal(matches: &ArgMatches) -> Option<String> {
    let mut path = Vec::new();
    let mut deepest = matches;
    while let Some((name, sub)) = deepest.subcommand() {
        path.push(name);
        deepest = sub;
    }
    let flags = GlobalFlags::augment_args(Command::new(""));
    let is_given = |flag: &&Arg| deepest.value_source(flag.get_id().as_str()) == Some(ValueSource::CommandLine);
    let useless: Vec<String> = flags
        .get_arguments()
        .filter(is_given)
        .filter(|flag| !obeys(&path, flag.get_id().as_str()) && !HARMLESS.contains(&flag.get_id().as_str()))
        .filter_map(|flag| Some(format!("--{}", flag.get_long()?)))
        .collect();
    let verb = if useless.len() == 1 { "does" } else { "do" };
    (!useless.is_empty()).then(|| {
        format!(
            "{} {verb} nothing in `pipefold {}`: leave it out",
            useless.join(" and "),
            path.join(" ")
        )
    })
}
