//! Jenkins: shell steps without a library.

use super::jenkins::{BUILD, result};
use crate::recipes::{Recipe, Script, Secrets, blocks};

/// Its scripts, and their places in a run.
pub fn recipe() -> Recipe {
    Recipe {
        source: "Jenkins",
        jobs: [BUILD, BUILD],
        start: |secrets| step(secrets, 0),
        end: |secrets, outcome| vec![step(secrets, 1).with("DX_RESULT", result(outcome))],
        tells_of_cancelling: true,
        needs: None,
    }
}

fn step(secrets: &Secrets, number: usize) -> Script {
    let text = blocks("jenkins/Jenkinsfile.plain").remove(number);
    Script {
        text,
        ..Script::default()
    }
    .with_all(secrets.variables())
}
