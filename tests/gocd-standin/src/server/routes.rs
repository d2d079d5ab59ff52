//! Addresses to answers.

use pipefold_gocd::documents::{Counter, PipelineLocator};
use pipefold_gocd::{Dialect, ServerUrl};

use super::answer::Answer;
use super::{Generation, Server, feeds, instance, jobs, runs, stages};
use crate::history::{PipelineHistory, PipelineRun, StageRun};

/// The inputs of an answer.
pub(super) struct Asked<'a> {
    pub(super) server: &'a Server,
    pub(super) base: ServerUrl,
    /// True if the request takes XML, which decides the form of errors.
    pub(super) takes_xml: bool,
}

pub(super) fn answer(server: &Server, target: &str, headers: &[(String, String)]) -> Answer {
    let header = |name: &str| {
        headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    let host = format!("http://{}/go", header("host").unwrap_or("localhost:8153"));
    let asked = Asked {
        server,
        base: server
            .base
            .clone()
            .or_else(|| ServerUrl::parse(&host).ok())
            .unwrap_or_else(|| panic!("{host} is no address")),
        takes_xml: header("accept").is_none_or(|accept| accept.contains("xml") || accept.contains("*/*")),
    };
    let accepted = &server.access.accepted;
    if !accepted.is_empty() && !header("authorization").is_some_and(|given| accepted.iter().any(|one| one == given)) {
        let message = "You are not authenticated!";
        return Answer::refusal(401, "access-denied", message, asked.takes_xml)
            .with("WWW-Authenticate", "Basic realm=\"GoCD\"");
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Some(path) = path.strip_prefix("/go/") else {
        return Answer::page(404, "Not Found");
    };
    let before = query.split('&').find_map(|pair| pair.strip_prefix("before="));
    let segments: Vec<&str> = path.split('/').collect();
    let found = match segments.as_slice() {
        ["api", "feed", rest @ ..] if server.generation.has(Dialect::New) => new(&asked, rest, before),
        ["api", rest @ ..] if server.generation.has(Dialect::Old) => old(&asked, rest, before),
        ["pipelines", pipeline, counter, stage, file] if server.generation.has(Dialect::Old) => {
            by_name(&asked, pipeline, counter, stage, file)
        }
        _ => None,
    };
    let json = || match segments.as_slice() {
        ["api", "pipelines", pipeline, counter] if server.generation != Generation::Old => {
            Some(instance::answer(&asked, pipeline, counter))
        }
        _ => None,
    };
    found
        .or_else(json)
        .unwrap_or_else(|| Answer::page(404, "The url you are trying to reach appears to be incorrect."))
}

/// The old dialect: ids, and 404 in plain words.
fn old(asked: &Asked<'_>, path: &[&str], before: Option<&str>) -> Option<Answer> {
    let not_found = || Answer::text(404, "Not Found!");
    let document = |body: String| Answer::document(body, Dialect::Old, asked.server.generation, false);
    Some(match path {
        ["pipelines.xml"] => document(feeds::pipelines(asked, Dialect::Old)),
        ["pipelines", pipeline, "stages.xml"] => match asked.pipeline(pipeline) {
            None => Answer::text(404, "Pipeline not found\n"),
            Some(pipeline) if asked.is_hidden(pipeline) => asked.no_permission(),
            // Whatever is no number is 0 to Ruby, before which there is nothing.
            Some(pipeline) => {
                let before = before.map(|text| text.parse::<u64>().unwrap_or(0));
                Answer::document(
                    feeds::old(asked, pipeline, before),
                    Dialect::Old,
                    asked.server.generation,
                    true,
                )
            }
        },
        // The name is not looked at.
        ["pipelines", _, file] => match number(file).and_then(|id| asked.run_by_id(id)) {
            None if file.ends_with(".xml") => not_found(),
            None => return None,
            Some((pipeline, _)) if asked.is_hidden(pipeline) => asked.no_permission(),
            Some((pipeline, run)) => document(runs::old(asked, pipeline, run)),
        },
        // A request by id is answered, whatever the rights elsewhere.
        ["stages", file] => match number(file).and_then(|id| asked.stage_by_id(id)) {
            None => not_found(),
            Some((pipeline, run, stage)) => document(stages::document(asked, pipeline, run, stage, Dialect::Old)),
        },
        ["jobs", file] => match number(file).and_then(|id| jobs::by_id(asked, id)) {
            None => not_found(),
            Some(body) => document(body),
        },
        _ => return None,
    })
}

/// The old dialect's stage by its name.
fn by_name(asked: &Asked<'_>, pipeline: &str, counter: &str, stage: &str, file: &str) -> Option<Answer> {
    let of_stage = number(file)?;
    let stage = asked
        .run(pipeline, counter)
        .and_then(|(_, run)| asked.stage(run, stage, of_stage));
    let Some(stage) = stage else {
        return Some(Answer::text(404, "Not Found!"));
    };
    let to = format!("{}/api/stages/{}.xml", asked.base, stage.id);
    let body = format!("<html><body>You are being <a href=\"{to}\">redirected</a>.</body></html>");
    // The type is wrong on real servers too.
    Some(
        Answer::new(302, "application/xml; charset=utf-8", body)
            .with("Location", to)
            .with("Cache-Control", "no-cache"),
    )
}

/// The new dialect: counters, and errors in XML.
fn new(asked: &Asked<'_>, path: &[&str], before: Option<&str>) -> Option<Answer> {
    let document = |body: String| Answer::document(body, Dialect::New, asked.server.generation, false);
    let refusal = |status, element, message: &str| Answer::refusal(status, element, message, asked.takes_xml);
    let unknown = |what: String| refusal(404, "not-found", &what);
    let [first, rest @ ..] = path else { return None };
    if *first == "pipelines.xml" {
        return Some(document(feeds::pipelines(asked, Dialect::New)));
    }
    let [name, rest @ ..] = rest else { return None };
    if *first != "pipelines" {
        return None;
    }
    let Some(pipeline) = asked.pipeline(name) else {
        return Some(unknown(format!("Pipeline with name '{name}' was not found!")));
    };
    if asked.is_hidden(pipeline) {
        return Some(asked.no_permission());
    }
    Some(match rest {
        ["stages.xml"] => match before.filter(|text| !text.is_empty()).map(str::parse::<i64>) {
            Some(Err(_)) => refusal(400, "bad-request", "The 'before' must be an integer."),
            Some(Ok(before)) if before > i64::from(i32::MAX) => {
                refusal(400, "bad-request", "The 'before' must be an integer.")
            }
            Some(Ok(before)) => document(feeds::new(asked, pipeline, Some(u64::try_from(before).unwrap_or(0)))),
            None => document(feeds::new(asked, pipeline, None)),
        },
        [file] => match file.strip_suffix(".xml").and_then(|counter| asked.run(name, counter)) {
            Some((pipeline, run)) => document(runs::new(asked, pipeline, run)),
            None => unknown(format!("Pipeline instance with counter '{file}' was not found!")),
        },
        [counter, stage, file] => {
            let found = asked.run(name, counter).zip(number(file));
            match found.and_then(|((_, run), number)| Some((run, asked.stage(run, stage, number)?))) {
                Some((run, stage)) => document(stages::document(asked, pipeline, run, stage, Dialect::New)),
                None => broken(),
            }
        }
        [counter, stage, of_stage, file] => {
            let found = asked.run(name, counter).zip(of_stage.parse().ok());
            let found = found.and_then(|((_, run), number)| Some((run, asked.stage(run, stage, number)?)));
            let job = file.strip_suffix(".xml").unwrap_or(file);
            match found.and_then(|(run, stage)| jobs::by_name(asked, pipeline, run, stage, job)) {
                Some(body) => document(body),
                None => broken(),
            }
        }
        _ => return None,
    })
}

/// The new dialect's answer for a stage or job that does not exist.
fn broken() -> Answer {
    let body = r#"{"error":"Cannot invoke \"Object.toString()\" because the return value is null"}"#;
    Answer::new(500, "application/json;charset=utf-8", body)
}

/// The number before `.xml`.
fn number(file: &str) -> Option<u64> {
    file.strip_suffix(".xml")?.parse().ok()
}

impl Asked<'_> {
    /// A pipeline; the case of letters does not count.
    pub(super) fn pipeline(&self, name: &str) -> Option<&PipelineHistory> {
        let pipelines = &self.server.history.pipelines;
        pipelines
            .iter()
            .find(|pipeline| pipeline.name.as_str().eq_ignore_ascii_case(name))
    }

    pub(super) fn is_hidden(&self, pipeline: &PipelineHistory) -> bool {
        self.server
            .access
            .hidden
            .iter()
            .any(|name| name == pipeline.name.as_str())
    }

    /// 401 up to 18.4 and in the new documents' routes, 403 between.
    pub(super) fn no_permission(&self) -> Answer {
        match self.server.generation {
            Generation::Old => Answer::text(401, "Not authorized to view pipeline\n"),
            Generation::Both => Answer::text(403, "Not authorized to view pipeline\n"),
            Generation::New => Answer::refusal(401, "unauthorized", "Not authorized to view pipeline", self.takes_xml),
        }
    }

    /// A run that has begun, by its pipeline and counter.
    pub(super) fn run(&self, pipeline: &str, counter: &str) -> Option<(&PipelineHistory, &PipelineRun)> {
        let counter = Counter::parse(counter)?;
        let pipeline = self.pipeline(pipeline)?;
        let run = pipeline.runs.iter().find(|run| run.counter == counter)?;
        self.has_begun(run).then_some((pipeline, run))
    }

    fn run_by_id(&self, id: u64) -> Option<(&PipelineHistory, &PipelineRun)> {
        let mut runs = self.runs();
        runs.find(|(_, run)| run.id == id)
            .filter(|(_, run)| self.has_begun(run))
    }

    /// True if it exists.
    pub(super) fn has_begun(&self, run: &PipelineRun) -> bool {
        !run.known(self.server.events).is_empty()
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = (&PipelineHistory, &PipelineRun)> {
        let pipelines = self.server.history.pipelines.iter();
        pipelines.flat_map(|pipeline| pipeline.runs.iter().map(move |run| (pipeline, run)))
    }

    fn stage_by_id(&self, id: u64) -> Option<(&PipelineHistory, &PipelineRun, &StageRun)> {
        self.runs().find_map(|(pipeline, run)| {
            let stage = run.known(self.server.events).into_iter().find(|stage| stage.id == id)?;
            Some((pipeline, run, stage))
        })
    }

    fn stage<'r>(&self, run: &'r PipelineRun, name: &str, counter: u64) -> Option<&'r StageRun> {
        let known = run.known(self.server.events);
        known
            .into_iter()
            .find(|stage| stage.name.as_str().eq_ignore_ascii_case(name) && stage.counter.get() == counter)
    }

    /// The name and counter of a run, by which documents identify it.
    pub(super) fn locator(&self, pipeline: &PipelineHistory, run: &PipelineRun) -> PipelineLocator {
        run.locator(pipeline)
    }
}
