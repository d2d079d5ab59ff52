//! Precedence, trust and the search for files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::{
    ConfigError, Environment, Flags, Origin, Settings, SettingsInput, TokenPlace, Trust, strict_without_files,
};
use crate::detect::Field;

/// A machine: an operator's file and a workspace, apart from each other.
struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::create_dir_all(root.path().join("repo/deep/er")).unwrap();
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn with(self, name: &str, text: &str) -> Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    fn load(&self, variables: &[(&str, &str)], flags: &Flags, config: Option<&str>) -> Result<Settings, ConfigError> {
        Settings::load(SettingsInput {
            environment: &Environment::from_pairs(variables.iter().copied()),
            flags,
            cwd: &self.path("repo/deep/er"),
            config: config.map(Path::new),
            etc: &self.path("etc/pipefold.toml"),
        })
    }

    fn settings(&self) -> Settings {
        self.load(&[], &Flags::default(), None).unwrap()
    }
}

#[test]
fn without_settings_the_defaults_apply() {
    let settings = Machine::new().settings();
    assert_eq!((settings.dx_url, settings.token, settings.ca_file), (None, None, None));
    assert_eq!(settings.spool_limit, 256 << 20);
    assert_eq!(settings.budgets.start.as_secs(), 1);
    assert_eq!(settings.budgets.finish.as_secs(), 5);
    assert_eq!(settings.budgets.stop.as_secs(), 2);
    assert!(!settings.strict && !settings.dry_run);
    assert_eq!(settings.fields.iter().count(), 0);
    assert!(settings.policies.is_empty() && settings.warnings.is_empty() && settings.files.is_empty());
    assert_eq!(settings.system, None);
}

#[test]
fn each_layer_beats_the_next() {
    let machine = Machine::new()
        .with(
            "etc/pipefold.toml",
            "repository = 'etc'\nemail = 'etc'\nhead_branch = 'etc'\nsource_url = 'etc'",
        )
        .with(
            "repo/pipefold.toml",
            "repository = 'repo'\nemail = 'repo'\nhead_branch = 'repo'",
        );
    let mut flags = Flags::default();
    flags.fields.set_flag(Field::Repository, "flag");
    let variables = [("PIPEFOLD_REPOSITORY", "variable"), ("PIPEFOLD_EMAIL", "variable")];
    let settings = machine.load(&variables, &flags, None).unwrap();
    let values: Vec<_> = settings
        .fields
        .iter()
        .map(|(_, sourced)| sourced.value.as_str())
        .collect();
    assert_eq!(values, ["flag", "etc", "repo", "variable"]);
    let (repo, etc) = (machine.path("repo/pipefold.toml"), machine.path("etc/pipefold.toml"));
    assert_eq!(settings.files, [(repo, Trust::Workspace), (etc, Trust::Operator)]);
}

#[test]
fn config_stands_in_for_the_file_in_etc() {
    let machine = Machine::new()
        .with("etc/pipefold.toml", "dx_url = 'https://etc'\nemail = 'etc'\nbroken")
        .with("mine.toml", "dx_url = 'https://mine'");
    let settings = machine
        .load(&[], &Flags::default(), Some("../../../mine.toml"))
        .unwrap();
    assert_eq!(settings.dx_url.unwrap().value, "https://mine");
    assert_eq!(settings.fields.value(Field::Email), None);
    let error = machine
        .load(&[], &Flags::default(), Some("absent.toml"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("repo/deep/er/absent.toml"), "{error}");
}

#[test]
fn the_workspace_s_own_file_is_trusted_when_config_names_it() {
    let machine = Machine::new().with("repo/pipefold.toml", "dx_url = 'https://mine'\nemail = 'mine'");
    for config in ["../../pipefold.toml", "../../../repo/pipefold.toml"] {
        let settings = machine.load(&[], &Flags::default(), Some(config)).unwrap();
        assert_eq!(settings.dx_url.unwrap().value, "https://mine");
        assert_eq!(settings.fields.value(Field::Email), Some("mine"));
        assert_eq!(settings.files.len(), 1);
    }
    assert!(matches!(
        machine.load(&[], &Flags::default(), None),
        Err(ConfigError::NotInWorkspace { .. })
    ));
}

#[test]
fn a_variable_that_names_a_file_gives_it_no_trust() {
    let machine = Machine::new().with("repo/pipefold.toml", "dx_url = 'https://evil'");
    let config = machine.path("repo/pipefold.toml");
    let variables = [("PIPEFOLD_CONFIG", config.to_str().unwrap())];
    let error = machine.load(&variables, &Flags::default(), None).unwrap_err();
    assert!(matches!(error, ConfigError::NotInWorkspace { .. }), "{error}");
}

#[test]
fn working_below_the_operator_s_directory_is_no_workspace() {
    let machine = Machine::new().with("repo/pipefold.toml", "dx_url = 'https://etc'");
    let mine = machine.path("mine.toml");
    fs::write(&mine, "").unwrap();
    let mut input = SettingsInput {
        environment: &Environment::default(),
        flags: &Flags::default(),
        cwd: &machine.path("repo/deep"),
        config: None,
        etc: &machine.path("repo/pipefold.toml"),
    };
    assert_eq!(Settings::load(input).unwrap().dx_url.unwrap().value, "https://etc");
    input.config = Some(&mine);
    assert_eq!(Settings::load(input).unwrap().dx_url, None);
}

#[cfg(unix)]
#[test]
fn a_link_to_the_operator_s_file_is_not_the_operator_s_file() {
    use std::os::unix::fs::symlink;
    let machine = Machine::new().with("etc/pipefold.toml", "dx_url = 'https://etc'");
    symlink(machine.path("etc/pipefold.toml"), machine.path("repo/pipefold.toml")).unwrap();
    let settings = machine.load(&[], &Flags::default(), None).unwrap();
    assert_eq!(settings.files.len(), 1, "the operator's own alone");
    assert!(
        settings.warnings[0].contains("is a symbolic link"),
        "{:?}",
        settings.warnings
    );
    // A link that the operator names is followed, as Kubernetes mounts files through links.
    let settings = machine
        .load(&[], &Flags::default(), Some("../../pipefold.toml"))
        .unwrap();
    assert_eq!(settings.dx_url.unwrap().value, "https://etc");
}

#[cfg(unix)]
#[test]
fn a_config_that_everyone_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let machine = Machine::new().with("mine.toml", "");
    let open = fs::Permissions::from_mode(0o666);
    fs::set_permissions(machine.path("mine.toml"), open.clone()).unwrap();
    let error = machine
        .load(&[], &Flags::default(), Some("../../../mine.toml"))
        .unwrap_err();
    assert!(error.to_string().contains("can be written by everyone"), "{error}");
    let machine = machine.with("etc/pipefold.toml", "");
    fs::set_permissions(machine.path("etc/pipefold.toml"), open).unwrap();
    assert!(matches!(
        machine.load(&[], &Flags::default(), None),
        Err(ConfigError::WorldWritable { .. })
    ));
}

#[test]
fn a_broken_workspace_file_is_left_out_and_no_other_takes_its_place() {
    let machine = Machine::new()
        .with("pipefold.toml", "email = 'a'")
        .with("repo/pipefold.toml", "email = ");
    let settings = machine.settings();
    assert!(
        settings.warnings[0].contains("pipefold.toml:1: this is not TOML"),
        "{:?}",
        settings.warnings
    );
    assert_eq!(settings.fields.value(Field::Email), None);
    fs::remove_file(machine.path("repo/pipefold.toml")).unwrap();
    assert_eq!(machine.settings().fields.value(Field::Email), Some("a"));
}

#[test]
fn precedence_of_the_address() {
    let machine = Machine::new().with("etc/pipefold.toml", "dx_url = 'https://etc'");
    let flags = |url: &str| Flags {
        dx_url: Some(url.to_owned()),
        ..Flags::default()
    };
    let variable = [("DX_API_URL", "https://variable")];
    let url = |variables: &[_], flags: &Flags| {
        let url = machine.load(variables, flags, None).unwrap().dx_url.unwrap();
        (url.value, url.origin.to_string())
    };
    assert_eq!(
        url(&variable, &flags("https://flag")),
        ("https://flag".into(), "--dx-url".into())
    );
    assert_eq!(
        url(&variable, &flags("")),
        ("https://variable".into(), "DX_API_URL".into())
    );
    let (value, origin) = url(&[("DX_API_URL", "")], &Flags::default());
    assert_eq!(value, "https://etc");
    assert!(origin.starts_with("dx_url in /"), "{origin}");
}

#[test]
fn precedence_of_the_tokens_place() {
    let machine = Machine::new().with("etc/pipefold.toml", "token_file = 'secret'");
    let flags = Flags {
        token_file: Some("flag".into()),
        ..Flags::default()
    };
    let variables = [("DX_API_TOKEN", "s3cret"), ("PIPEFOLD_TOKEN_FILE", "variable")];
    let place = |variables: &[_], flags: &Flags| {
        let settings = machine.load(variables, flags, None).unwrap();
        assert!(!format!("{settings:?}").contains("s3cret"));
        settings.token.unwrap()
    };
    let cwd = machine.path("repo/deep/er");
    assert_eq!(place(&variables, &flags).value, TokenPlace::File(cwd.join("flag")));
    assert_eq!(
        place(&variables, &Flags::default()).value,
        TokenPlace::Variable("DX_API_TOKEN")
    );
    let from_variable = place(&variables[1..], &Flags::default());
    assert_eq!(from_variable.value, TokenPlace::File(cwd.join("variable")));
    assert_eq!(from_variable.origin, Origin::Variable("PIPEFOLD_TOKEN_FILE"));
    assert_eq!(
        place(&[], &Flags::default()).value,
        TokenPlace::File(machine.path("etc/secret"))
    );
}

#[test]
fn certificates_follow_the_same_order() {
    let machine = Machine::new().with("etc/pipefold.toml", "ca_file = 'ca.pem'");
    let flags = Flags {
        ca_file: Some("/flag.pem".into()),
        ..Flags::default()
    };
    let variable = [("PIPEFOLD_CA_FILE", "/variable.pem")];
    let file = |variables: &[_], flags: &Flags| machine.load(variables, flags, None).unwrap().ca_file.unwrap().value;
    assert_eq!(file(&variable, &flags), PathBuf::from("/flag.pem"));
    assert_eq!(file(&variable, &Flags::default()), PathBuf::from("/variable.pem"));
    assert_eq!(file(&[], &Flags::default()), machine.path("etc/ca.pem"));
}

#[test]
fn strictness_follows_the_same_order() {
    let machine = Machine::new().with("etc/pipefold.toml", "strict = true");
    let strict = Flags {
        strict: true,
        ..Flags::default()
    };
    let is_strict = |variables: &[_], flags: &Flags| machine.load(variables, flags, None).unwrap().strict;
    assert!(is_strict(&[], &Flags::default()));
    assert!(!is_strict(&[("PIPEFOLD_STRICT", "False")], &Flags::default()));
    assert!(is_strict(&[("PIPEFOLD_STRICT", "0")], &strict));
    let error = machine
        .load(&[("PIPEFOLD_STRICT", "perhaps")], &Flags::default(), None)
        .unwrap_err();
    assert_eq!(error.to_string(), "PIPEFOLD_STRICT: this has to be true or false");

    let ask = |value: &str, flags: &Flags| {
        strict_without_files(&Environment::from_pairs([("PIPEFOLD_STRICT", value)]), flags)
    };
    assert!(ask("true", &Flags::default()) && ask("0", &strict) && ask("perhaps", &strict));
    assert!(!ask("", &Flags::default()) && !ask("perhaps", &Flags::default()));
}

#[test]
fn settings_without_effect_give_warnings() {
    let settings = Machine::new()
        .load(&[("PIPEFOLD_EMIAL", "a@b.c")], &Flags::default(), None)
        .unwrap();
    let [warning] = settings.warnings.as_slice() else {
        panic!("{:?}", settings.warnings)
    };
    assert!(warning.ends_with("did you mean PIPEFOLD_EMAIL?"), "{warning}");
}

#[test]
fn the_spool_of_the_operator_s_file_is_used() {
    let machine = Machine::new().with("etc/pipefold.toml", "spool = 'spool'\nspool_limit = '1 MiB'");
    let settings = machine.settings();
    assert_eq!(
        (settings.spool.path, settings.spool_limit),
        (machine.path("etc/spool"), 1 << 20)
    );
}
