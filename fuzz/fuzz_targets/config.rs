//! Any bytes as `pipefold.toml`: of a workspace, whose author may be anyone, and of an operator.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pipefold::config::{Environment, Flags, LONGEST, Settings, SettingsInput};
use pipefold_fuzz::{printable, seeds, written};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};
use tempfile::TempDir;

struct Place {
    /// Holds the input as the workspace's file.
    workspace: PathBuf,
    /// Holds the input as well, as the file that `--config` names.
    operator: PathBuf,
    /// Neither.
    nowhere: PathBuf,
    /// What is set when no file says anything.
    unset: Settings,
    _directory: TempDir,
}

static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let directory = written::directory();
    let at = |name| directory.path().join(name);
    let (workspace, operator, nowhere) = (at("workspace"), at("operator.toml"), at("nowhere"));
    fs::create_dir(&workspace).unwrap();
    fs::create_dir(&nowhere).unwrap();
    fs::write(&operator, "").unwrap();
    let unset = load(&nowhere, None).unwrap();
    Place {
        workspace,
        operator,
        nowhere,
        unset,
        _directory: directory,
    }
});

/// Loads settings, and checks what is said of them.
fn load(cwd: &Path, config: Option<&Path>) -> Option<Settings> {
    // What templates are filled in from.
    let environment = Environment::from_pairs([
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_REPOSITORY", "getdx/some_repo"),
        ("GITHUB_WORKFLOW", "ci"),
        ("GITHUB_RUN_ID", "1"),
    ]);
    let flags = Flags::default();
    let loaded = Settings::load(SettingsInput {
        environment: &environment,
        flags: &flags,
        cwd,
        config,
        etc: Path::new("/nowhere/pipefold.toml"),
    });
    match loaded {
        Ok(settings) => {
            settings.warnings.iter().for_each(|warning| printable::check(warning));
            Some(settings)
        }
        Err(error) => {
            printable::check(&error);
            None
        }
    }
}

fuzz_target!(init: seeds::write("config", SEEDS), |bytes: &[u8]| {
    let Place { workspace, operator, nowhere, unset, .. } = &*PLACE;
    fs::write(workspace.join("pipefold.toml"), bytes).unwrap();
    fs::write(operator, bytes).unwrap();

    if let Some(settings) = load(workspace, None) {
        // Whatever it says, it decides nothing but what a run is called.
        let decisive = |settings: &Settings| {
            let Settings { dx_url, token, ca_file, spool, spool_limit, budgets, .. } = settings.clone();
            let Settings { limits, failure, policies, strict, dry_run, local, .. } = settings.clone();
            ((dx_url, token, ca_file, spool, spool_limit, budgets), (limits, failure, policies, strict, dry_run, local))
        };
        assert_eq!(decisive(&settings), decisive(unset));
    }
    if let Some(settings) = load(nowhere, Some(operator)) {
        let budgets = [settings.budgets.start, settings.budgets.finish, settings.budgets.stop];
        assert!(budgets.into_iter().all(|budget| budget <= LONGEST));
    }
});

const SEEDS: [(&str, &str); 5] = [
    (
        "workspace",
        "# What a run is called.\npipeline_name = \"build\"\npipeline-source = 'Tekton'\nrepository = \"getdx/some_repo\"\npr_number = 7\n",
    ),
    (
        "operator",
        "dx_url = \"https://yourinstance.getdx.net\"\ntoken_file = \"/run/secrets/dx\"\nca_file = \"ca.pem\"\nspool = \"/var/lib/pipefold\"\n\
         spool_limit = \"64 MiB\"\nstrict = true\nfailure = \"open\"\nbudgets = { start = \"500ms\", finish = \"3s\", stop = \"1s\" }\n\n\
         [limits]\nhook = \"100ms\"\nchain = \"1s\"\nmemory = \"32 MiB\"\ncomponent_size = 1000000\ntable_elements = 10\ninstances = 3\n\
         hostcall_fuel = \"1 MiB\"\nstack = \"256 KiB\"\n",
    ),
    (
        "templates",
        "[templates]\npipeline_name = \"{repository}: {workflow} {{x}}\"\nreference_id = \"{run}/{attempt}\"\n",
    ),
    (
        "policies",
        "[[policy]]\nfile = \"redact.wasm@sha256:0000000000000000000000000000000000000000000000000000000000000000\"\nname = \"redact\"\n\
         failure = \"closed\"\ngrants = [\"log\", \"config\"]\ndir = { path = \"data\", access = \"read\" }\n\
         limits = { memory = \"16 MiB\" }\nconfig = { key = \"value\" }\n\n\
         [[policy]]\nfile = \"b.wasm\"\n",
    ),
    (
        "refused",
        "token = \"secret\"\nreference_id = 1\n\"\\u0001\" = \"\"\"\nx\"\"\"\n",
    ),
];
