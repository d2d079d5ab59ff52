//! The keys of `pipefold.toml`, beside the fields of the run.

use super::variables;

/// A key at the top of an operator's file, and the other places that set the same.
pub(super) struct OperatorKey {
    pub(super) name: &'static str,
    flag: Option<&'static str>,
    variable: Option<&'static str>,
}

const fn key(name: &'static str, flag: Option<&'static str>, variable: Option<&'static str>) -> OperatorKey {
    OperatorKey { name, flag, variable }
}

/// What only an operator may set: where the token goes, what a policy may do, how long and how much.
pub(super) const OPERATOR_KEYS: [OperatorKey; 13] = [
    key("dx_url", Some("--dx-url"), Some(variables::DX_API_URL)),
    key("token_file", Some("--token-file"), Some(variables::TOKEN_FILE)),
    key("ca_file", Some("--ca-file"), Some(variables::CA_FILE)),
    key("spool", Some("--spool"), Some(variables::SPOOL)),
    key("spool_limit", None, None),
    key("abandon_after", None, Some(variables::ABANDON_AFTER)),
    key("strict", Some("--strict"), Some(variables::STRICT)),
    key("budgets", None, None),
    key("limits", None, None),
    key("policy", Some("--policy"), None),
    key("failure", None, None),
    key("gocd", None, None),
    key("queue", Some("--queue"), Some(variables::QUEUE)),
];

/// Keys under which people have been seen to put the token itself.
pub(super) const TOKEN_KEYS: [&str; 5] = ["token", "dx_token", "api_token", "dx_api_token", "auth_token"];

/// Keys of a table `[[policy]]`.
pub(super) const POLICY_KEYS: [&str; 7] = ["file", "name", "failure", "grants", "dir", "config", "limits"];

/// Keys of a policy's table `dir`.
pub(super) const DIR_KEYS: [&str; 2] = ["path", "access"];

/// Keys of the table `gocd`.
pub(super) const GOCD_KEYS: [&str; 4] = ["in_job", "server_id", "users", "server"];

/// Keys of a table `[[gocd.server]]`.
pub(super) const GOCD_SERVER_KEYS: [&str; 22] = [
    "name",
    "url",
    "server_id",
    "user",
    "password_file",
    "access_token_file",
    "ca_file",
    "insecure_http",
    "pipelines",
    "since",
    "dialect",
    "reruns",
    "quiet_for",
    "late_stages",
    "final_stages",
    "restarted",
    "material",
    "users",
    "pages_url",
    "enrich",
    "state",
    "every",
];

/// Keys under which a secret of a GoCD server would be put.
pub(super) const SECRET_KEYS: [&str; 4] = ["password", "access_token", "token", "secret"];

/// Keys of the table `queue`.
pub(super) const QUEUE_KEYS: [&str; 3] = ["url", "credentials_file", "token_file"];

/// Keys of the table `templates`.
pub(super) const TEMPLATE_KEYS: [&str; 2] = ["pipeline_name", "reference_id"];

/// Keys of the table `budgets`.
pub(super) const BUDGET_KEYS: [&str; 3] = ["start", "finish", "stop"];

/// Keys of the table `limits`.
pub(super) const LIMIT_KEYS: [&str; 8] = [
    "hook",
    "chain",
    "memory",
    "component_size",
    "table_elements",
    "instances",
    "hostcall_fuel",
    "stack",
];

impl OperatorKey {
    /// Where the key may stand, as the end of "set it …".
    pub(super) fn instead(&self) -> String {
        let mut places = Vec::new();
        places.extend(self.flag.map(|flag| format!("by {flag}")));
        places.extend(self.variable.map(|variable| format!("by the variable {variable}")));
        places.push("in /etc/pipefold.toml or the file that --config names".to_owned());
        places.join(", or ")
    }
}
