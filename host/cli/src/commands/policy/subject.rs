//! The policies that a command is about: one component, or the tables `[[policy]]` of a TOML file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pipefold::config::{Environment, Flags, Grant, PolicyKeys, Settings, SettingsInput, variables};
use pipefold::{Judge, Limits};
use pipefold_sandbox::Mode;

use super::super::diagnostic::{Diagnostic, print};
use super::super::policies;
use super::Wrong;
use crate::args::GlobalFlags;

/// Policies and the rules, loaded.
pub struct Loaded {
    pub judge: Judge,
    /// The limits of each policy, by its name.
    pub limits: BTreeMap<String, Limits>,
}

/// What becomes of policies that only monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Monitored {
    /// They are asked beside the others, as in real runs.
    Beside,
    /// They count as the others do: a policy is tested before it is enforced.
    Enforced,
}

/// The policies as the command line names them.
pub enum Subject {
    /// `FILE[@sha256:…]`
    Component(String),
    /// A file of settings.
    Settings(PathBuf),
}

impl Subject {
    /// The file's ending tells them apart.
    pub fn of(file: &str) -> Self {
        let is_toml = Path::new(file).extension().is_some_and(|ending| ending == "toml");
        if is_toml {
            Self::Settings(file.into())
        } else {
            Self::Component(file.to_owned())
        }
    }

    /// Loads the policies and the rules. `config` is for a component alone.
    pub fn load(
        &self,
        global: &GlobalFlags,
        config: &BTreeMap<String, String>,
        monitored: Monitored,
    ) -> Result<Loaded, Wrong> {
        let process = Environment::from_process();
        // Neither the policies of this machine nor its fields matter here.
        let kept = [variables::POLICY_CACHE].map(|name| (name, process.get_os(name).unwrap_or_default()));
        let environment = Environment::from_pairs(kept);
        let settings = match self {
            Self::Component(file) => {
                let mut settings = load(&environment, None)?;
                settings.policies = vec![PolicyKeys {
                    file: file.clone(),
                    grants: BTreeSet::from([Grant::Log, Grant::Config]),
                    config: config.clone(),
                    ..PolicyKeys::default()
                }];
                settings
            }
            Self::Settings(path) => {
                let mut settings = load(&environment, Some(path))?;
                if monitored == Monitored::Enforced {
                    settings.policies.iter_mut().for_each(|keys| keys.mode = Mode::Enforce);
                }
                if settings.policies.is_empty() {
                    return Err(Wrong(format!("{} has no table [[policy]]", path.display())));
                }
                settings
            }
        };
        let mut diagnostics = Vec::new();
        let judge = policies::judge(global, &environment, &settings, &mut diagnostics).map_err(wrong)?;
        print(&diagnostics, global);
        policies::with_monitored(&judge);
        let usual = settings.limits.over(&Limits::default());
        let mut limits = BTreeMap::new();
        for (loaded, keys) in judge.policies().into_iter().zip(&settings.policies) {
            // Also of a policy that is skipped when it fails.
            if let Some(trouble) = loaded.trouble {
                return Err(Wrong(trouble));
            }
            limits.insert(loaded.name, keys.limits.over(&usual));
        }
        Ok(Loaded { judge, limits })
    }
}

fn wrong(diagnostic: Diagnostic) -> Wrong {
    Wrong(diagnostic.text().to_owned())
}

/// The settings of one file alone, or the defaults.
fn load(environment: &Environment, file: Option<&Path>) -> Result<Settings, Wrong> {
    let file = file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
    Settings::load(SettingsInput {
        environment,
        flags: &Flags::default(),
        // No workspace: its file has no policies.
        cwd: Path::new("/"),
        config: file.as_deref(),
        etc: Path::new(""),
    })
    .map_err(|error| Wrong(error.to_string()))
}
