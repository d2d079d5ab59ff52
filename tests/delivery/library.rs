//! Recording with the library, in the test's own process: quicker than a process for each notification.

use pipefold::{Notification, Reporter, Token};
use pipefold_tests::Ci;

/// A reporter over the spool of the test machine.
pub fn reporter(ci: &Ci) -> Reporter {
    let token = Token::new(ci.dx.token().to_owned()).unwrap();
    Reporter::builder()
        .dx_url(ci.dx.url())
        .token(token)
        .spool(ci.spool())
        .build()
        .unwrap()
}

/// A notification about this run.
pub fn notification(reference_id: &str) -> Notification {
    Notification {
        pipeline_name: Some("build".into()),
        pipeline_source: Some("tests".into()),
        reference_id: Some(reference_id.into()),
        ..Notification::default()
    }
}
