//! Drone: a first and a last step.

use crate::recipes::{Outcome, Recipe, Script, Secrets, document};

const BUILD: &[(&str, &str)] = &[
    ("CI", "true"),
    ("DRONE", "true"),
    ("DRONE_BRANCH", "main"),
    ("DRONE_BUILD_EVENT", "push"),
    ("DRONE_BUILD_LINK", "https://drone.example.com/getdx/some_repo/42"),
    ("DRONE_BUILD_NUMBER", "42"),
    ("DRONE_COMMIT_AUTHOR", "mona"),
    ("DRONE_COMMIT_SHA", super::COMMIT),
    ("DRONE_REPO", "getdx/some_repo"),
    ("DRONE_STAGE_NAME", "default"),
    ("DRONE_SYSTEM_HOST", "drone.example.com"),
];

/// Its scripts, and their places in a run.
pub fn recipe() -> Recipe {
    Recipe {
        source: "Drone",
        jobs: [BUILD, BUILD],
        start: |secrets| step(secrets, "drone/.drone.yml", 0).with("DRONE_BUILD_STATUS", "success"),
        end: |secrets, outcome| {
            if outcome == Outcome::Cancelled {
                return vec![];
            }
            vec![step(secrets, "drone/.drone.yml", 2).with("DRONE_BUILD_STATUS", outcome.status())]
        },
        tells_of_cancelling: false,
        needs: None,
    }
}

/// The commands of a step, with its environment; a secret that is not there is empty.
pub fn step(secrets: &Secrets, file: &str, step: usize) -> Script {
    let file = document(file);
    let pointer = format!("/steps/{step}");
    let [url, token] = secrets.or(["", ""]);
    let environment = file
        .pointer(&format!("{pointer}/environment"))
        .unwrap()
        .as_object()
        .unwrap();
    let mut script = Script::at(&file, &format!("{pointer}/commands/0"));
    // Such a system replaces ${NAME} in the file itself.
    assert!(!script.text.contains("${"), "{}", script.text);
    for (name, value) in environment {
        let value = match value["from_secret"].as_str() {
            Some("dx_api_url") => url,
            Some("dx_api_token") => token,
            _ => value.as_str().unwrap(),
        };
        script = script.with(name, value);
    }
    script
}
