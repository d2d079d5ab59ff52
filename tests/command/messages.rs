//! The messages of a build's commands on stderr when reporting fails: one line, which a CI log shows whole.

use pipefold_tests::{Ci, Mode, Pipefold};

/// A line of a log that a page of a CI system shows without a scroll bar.
const LONGEST: usize = 160;

#[test]
fn one_short_line_has_the_failure_and_the_advice() {
    let mut all = String::new();
    let mut say = |title: &str, command: fn(&Ci) -> Pipefold| {
        let ci = Ci::new();
        let output = command(&ci).run();
        output.assert_code(0);
        let said = output.stderr().replace(&ci.directory().display().to_string(), "/ci");
        let said = without_times(&said.replace(&ci.dx.url(), "http://dx"));
        assert_eq!(said.lines().count(), 1, "{title}: {output}");
        assert!(said.chars().count() <= LONGEST + 1, "{title}: {said}");
        all.push_str(&format!("{title}\n    {said}"));
    };
    say("no address", |ci| ci.report(["start"]).env_remove("DX_API_URL"));
    say("no address, exec", |ci| ci.exec(["true"]).env_remove("DX_API_URL"));
    say("no token", |ci| ci.report(["start"]).env_remove("DX_API_TOKEN"));
    say("nothing listens", |ci| {
        ci.dx.set_mode(Mode::RefuseConnections);
        ci.report(["start"])
    });
    say("nothing listens, exec", |ci| {
        ci.dx.set_mode(Mode::RefuseConnections);
        ci.exec(["true"])
    });
    say("a redirect", |ci| {
        let to = "https://user:password@login.example/?token=secret".into();
        ci.dx.set_mode(Mode::Redirect { status: 302, to });
        ci.report(["start"])
    });
    say("another page", |ci| {
        ci.dx.set_mode(Mode::NotJson);
        ci.report(["start"])
    });
    say("outside CI", |ci| ci.pipefold(["start"]));
    insta::assert_snapshot!("messages", all);
}

/// The closing line has how long the command ran.
fn without_times(text: &str) -> String {
    match text
        .split_once(" in ")
        .and_then(|(before, after)| Some((before, after.split_once(" ms, ")?.1)))
    {
        Some((before, after)) => format!("{before} in … ms, {after}"),
        None => text.to_owned(),
    }
}
