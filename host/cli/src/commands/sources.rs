//! The sources of webhooks that flags and the operator's file name, loaded and ready to be called.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use pipefold::config::{Environment, LimitKeys, SourceKeys, variables};
use pipefold_collector::hooks::signature::Scheme;
use pipefold_collector::hooks::{
    SecretPlace, SourceName, SourceOptions, USE, USUAL_MAX_AGE, USUAL_RATE, USUAL_SCHEME, built_in, scheme,
};
use pipefold_sandbox::{
    Cache, Compiler, ComponentFile, Deadline, KeyPlace, Limits, LoadedSource, Sandbox, Setting, Source, SourceSpec,
};

use super::diagnostic::remark;
use super::policies;
use crate::args::{GlobalFlags, SourceFlags};
use crate::terminal::neutral;

/// The sources of a server, with the component of each loaded.
///
/// # Errors
/// The fault of a flag or of a table `[[source]]`, or of a component that cannot be loaded.
pub fn sources(
    global: &GlobalFlags,
    flags: &SourceFlags,
    environment: &Environment,
    keys: &[SourceKeys],
) -> anyhow::Result<Vec<SourceOptions>> {
    let named = flags.sources.iter().map(|given| of_flag(given));
    let all: Vec<SourceKeys> = keys.iter().cloned().chain(named).collect();
    let mut secret_files = secret_files(&flags.secret_files)?;
    if let Some(name) = secret_files
        .keys()
        .find(|name| all.iter().all(|keys| keys.name != **name))
    {
        bail!("--source-secret-file {name}=…: there is no source `{name}`; add --source {name}");
    }
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let mut loader = Loader::new(global, environment)?;
    let mut sources = Vec::new();
    for keys in all {
        let name: SourceName = keys.name.parse().with_context(|| format!("source {:?}", keys.name))?;
        let by_flag = secret_files.remove(name.as_str());
        let secrets = secret_place(environment, &name, by_flag.or_else(|| keys.secret_file.clone()));
        let options = loader.load(name.clone(), keys, secrets);
        sources.push(options.map_err(|error| about(&name, error))?);
    }
    Ok(sources)
}

/// Puts the source's name before an error that does not begin with it.
pub fn about(name: &SourceName, error: anyhow::Error) -> anyhow::Error {
    let title = format!("source {name}");
    match error.to_string().starts_with(&format!("{title}: ")) {
        true => error,
        false => error.context(title),
    }
}

/// Returns the source that a flag names, `NAME` or `NAME=FILE`.
pub fn of_flag(given: &str) -> SourceKeys {
    let (name, file) = match given.split_once('=') {
        Some((name, file)) => (name, Some(file.to_owned())),
        None => (given, None),
    };
    SourceKeys {
        name: name.to_owned(),
        file,
        ..SourceKeys::default()
    }
}

fn secret_files(given: &[String]) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    for given in given {
        let (name, file) = given
            .split_once('=')
            .filter(|(_, file)| !file.is_empty())
            .ok_or_else(|| {
                anyhow!("--source-secret-file takes NAME=FILE, such as github=/etc/pipefold/github.secret")
            })?;
        if files.insert(name.to_owned(), PathBuf::from(file)).is_some() {
            bail!("--source-secret-file {name}=… is given twice: put one secret on a line of the same file");
        }
    }
    Ok(files)
}

/// Returns the place of a source's secrets: a file, else a variable.
fn secret_place(environment: &Environment, name: &SourceName, file: Option<PathBuf>) -> SecretPlace {
    let variable = variables::source_secret(name.as_str());
    match (file, environment.get(&variable)) {
        (Some(file), _) => SecretPlace::File(file),
        (None, Some(text)) => SecretPlace::Text(text.to_owned().into(), variable),
        (None, None) => SecretPlace::Nowhere,
    }
}

/// The component of a source, loaded, and its settings.
pub struct Translator {
    /// The translator of its deliveries, for people.
    pub translation: String,
    /// The scheme of its deliveries, if no other is given.
    pub usual: Scheme,
    /// The component.
    pub source: Arc<Source>,
    /// The settings that it sees.
    pub settings: Vec<Setting>,
}

/// The parts that load components, and the built-in one once it is loaded.
pub struct Loader<'a> {
    global: &'a GlobalFlags,
    sandbox: Sandbox,
    cache: Option<Cache>,
    compiler: Compiler,
    built_in: Option<Arc<Source>>,
}

impl<'a> Loader<'a> {
    /// Opens the cache of compiled code. Without it each component is compiled here.
    pub fn new(global: &'a GlobalFlags, environment: &Environment) -> anyhow::Result<Self> {
        let place = policies::cache_dir(global, environment).unwrap_or_else(Cache::usual_dir);
        let cache = Cache::open(&place);
        if let Err(why) = &cache {
            tracing::info!("sources are compiled without a cache: {why}");
        }
        Ok(Self {
            global,
            sandbox: Sandbox::new(Limits::default())?,
            cache: cache.ok(),
            compiler: super::component::compiler()?,
            built_in: None,
        })
    }

    fn load(&mut self, name: SourceName, keys: SourceKeys, secrets: SecretPlace) -> anyhow::Result<SourceOptions> {
        let given = keys.scheme.as_deref().map(scheme).transpose()?;
        let (rate, max_age) = (keys.rate.unwrap_or(USUAL_RATE), keys.max_age.unwrap_or(USUAL_MAX_AGE));
        let Translator {
            translation,
            usual,
            source,
            settings,
        } = self.translator(&name, keys)?;
        let scheme = given.unwrap_or(usual);
        if matches!(secrets, SecretPlace::Nowhere) && scheme != Scheme::None {
            bail!(
                "it has no secret: put the one of the webhook into {}, or into a file that `secret_file` or \
                 --source-secret-file {name}=FILE names",
                variables::source_secret(name.as_str()),
            );
        }
        Ok(SourceOptions {
            name,
            translation,
            source,
            settings,
            scheme,
            secrets,
            rate,
            max_age,
        })
    }

    /// Loads the component of a source.
    ///
    /// # Errors
    /// An unknown name, or a component that cannot be loaded.
    pub fn translator(&mut self, name: &SourceName, keys: SourceKeys) -> anyhow::Result<Translator> {
        let mut settings: Vec<Setting> = Vec::new();
        let (translation, usual, source) = match &keys.file {
            Some(file) => (file.clone(), USUAL_SCHEME, self.of_file(name, file, &keys)?),
            None => {
                let used = keys.use_built_in.as_deref().unwrap_or(name.as_str());
                let usual = built_in(used).map_err(|why| match keys.use_built_in {
                    Some(_) => anyhow!(why),
                    None => anyhow!("{why} (another CI system needs a component: --source {name}=FILE.wasm)"),
                })?;
                if keys.limits != LimitKeys::default() {
                    bail!("`limits` are for a component of your own, which the key `file` names");
                }
                settings.push(Setting {
                    name: USE.to_owned(),
                    value: used.to_owned(),
                });
                (format!("built-in {used}"), usual, self.built_in()?)
            }
        };
        settings.extend(keys.settings.into_iter().map(|(name, value)| Setting { name, value }));
        Ok(Translator {
            translation,
            usual,
            source,
            settings,
        })
    }

    fn of_file(&self, name: &SourceName, file: &str, keys: &SourceKeys) -> anyhow::Result<Arc<Source>> {
        let file: ComponentFile = file.parse()?;
        // A user may have put the secret there, so a name of no file is not shown.
        if matches!(&keys.key, Some(KeyPlace::File(path)) if !path.is_file()) {
            bail!("`key` names no file with a minisign public key; a secret goes into a file that `secret_file` names");
        }
        let file = file.signed_by(keys.key.clone());
        let spec = SourceSpec::new(name.as_str());
        let spec = SourceSpec {
            limits: keys.limits.over(&spec.limits),
            ..spec
        };
        let loaded = self
            .sandbox
            .source_by(&spec, &file, self.cache.as_ref(), &self.compiler, &Deadline::never());
        Ok(self.noted(loaded?))
    }

    fn built_in(&mut self) -> anyhow::Result<Arc<Source>> {
        if let Some(source) = &self.built_in {
            return Ok(Arc::clone(source));
        }
        let never = Deadline::never();
        let loaded = self
            .sandbox
            .built_in_sources_by(self.cache.as_ref(), &self.compiler, &never)?;
        let source = self.noted(loaded);
        self.built_in = Some(Arc::clone(&source));
        Ok(source)
    }

    /// Shows the notes about loading.
    fn noted(&self, loaded: LoadedSource) -> Arc<Source> {
        for note in &loaded.notes {
            remark(self.global, &neutral(note));
        }
        Arc::new(loaded.source)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn flags_name_a_built_in_source_or_a_file() {
        let ours = of_flag("ours=a=b.wasm");
        assert_eq!((&*ours.name, ours.file.as_deref()), ("ours", Some("a=b.wasm")));
        let github = of_flag("github");
        assert_eq!((&*github.name, github.file), ("github", None));
        let files = secret_files(&["github=a=b".into(), "ours=c".into()]).unwrap();
        assert_eq!(files["github"], PathBuf::from("a=b"));
        for wrong in [&["github"][..], &["github="], &["a=b", "a=c"]] {
            let given: Vec<String> = wrong.iter().map(|given| (*given).to_owned()).collect();
            assert!(secret_files(&given).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_file_beats_the_variable() {
        let environment = Environment::from_pairs([("PIPEFOLD_SOURCE_SECRET_OUR_CI", "sesame")]);
        let name: SourceName = "our-ci".parse().unwrap();
        let place = |file| secret_place(&environment, &name, file);
        assert!(matches!(place(Some("f".into())), SecretPlace::File(_)));
        assert!(matches!(place(None), SecretPlace::Text(_, origin) if origin == "PIPEFOLD_SOURCE_SECRET_OUR_CI"));
        let other: SourceName = "github".parse().unwrap();
        assert!(matches!(secret_place(&environment, &other, None), SecretPlace::Nowhere));
    }
}
