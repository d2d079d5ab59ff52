//! Names that GoCD would not allow, on every address.

use crate::feeds::crawl::api;
use crate::feeds::site::{Site, run};
use pipefold_gocd::documents::Name;
use pipefold_gocd::{Dialect, read};

#[test]
fn any_name_is_led_to_by_links() {
    let long = "é".repeat(2048);
    let names = [
        "a<b&c",
        "]]>",
        "with space",
        " padded ",
        "a/b",
        "//",
        "é日本\u{10ffff}",
        "%41%2F",
        "x?y#z",
        ".",
        "..",
        "...",
        "stages.xml",
        "1.xml",
        "\"quoted'",
        "value_stream_map",
        "go",
        "run",
        "+",
        "a\u{2028}b",
        &long,
    ];
    let mut site = Site::new();
    site.report(&run("jobs", "jobs", 0, "success"));
    for (number, name) in names.iter().enumerate() {
        let id = format!("r{number}");
        site.report(&run(name, &id, 0, "success"));
        // As jobs, in a run that is not of them.
        site.job("jobs", name, "success", [None, None]);
    }
    for dialect in [Dialect::Old, Dialect::New] {
        let list = read::pipelines(&site.document(&format!("{}/pipelines.xml", api(dialect)))).unwrap();
        let mut found: Vec<&str> = list.pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
        let mut expected: Vec<&str> = names.iter().copied().chain(["jobs"]).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
        for listed in &list.pipelines {
            let name = &listed.name;
            let feed = read::feed(&site.follow(&listed.feed)).unwrap();
            let [entry] = &feed.entries[..] else {
                panic!("{name}: {feed:?}")
            };
            assert_eq!(entry.stage.pipeline.name, *name);
            let pipeline = read::pipeline(&site.follow(entry.pipeline_link().unwrap())).unwrap();
            assert_eq!((&pipeline.name, pipeline.counter.get()), (name, 1));
            let stage = read::stage(&site.follow(entry.stage_link().unwrap())).unwrap();
            assert_eq!(stage.pipeline.name, *name);
            let jobs: Vec<Name> = stage
                .jobs
                .iter()
                .map(|job| read::job(&site.follow(job)).unwrap().name)
                .collect();
            let page = site.path(&entry.id);
            assert_eq!(site.get(&page).status, 302, "{name}");
            let named = read::stage(&site.document(&format!("{page}.xml"))).unwrap();
            assert_eq!(named.pipeline.name, *name, "{name}");
            if name.as_str() == "jobs" {
                let expected = names.map(|name| if name == "run" { "run-step" } else { name });
                let found: Vec<&str> = jobs.iter().skip(1).map(Name::as_str).collect();
                assert_eq!(found, expected);
            } else {
                assert_eq!(jobs.len(), 1);
            }
        }
    }
}

#[test]
fn what_xml_cannot_carry_is_left_out() {
    let mut site = Site::new();
    site.report(&run("bad\u{ffff}", "bad", 0, "success"));
    site.report(&run("good", "good", 0, "success"));
    site.job("good", "bad\u{fffe}", "success", [None, None]);
    let list = read::pipelines(&site.document("/go/api/pipelines.xml")).unwrap();
    assert_eq!(list.pipelines.len(), 1);
    let id = site.run("bad")["id"].as_u64().unwrap();
    // Its job's id is one of the next.
    let of_jobs = (id..id + 5).filter(|id| site.get(&format!("/go/api/jobs/{id}.xml")).status != 404);
    assert_eq!(of_jobs.count(), 0);
    for path in [format!("pipelines/x/{id}"), format!("stages/{}", id + 1)] {
        assert_eq!(site.get(&format!("/go/api/{path}.xml")).status, 404, "{path}");
    }
    assert_eq!(site.get("/go/api/pipelines/bad%EF%BF%BF/stages.xml").status, 404);
    let stage = read::stage(&site.document("/go/api/feed/pipelines/good/1/run/1.xml")).unwrap();
    assert_eq!(stage.jobs.len(), 1);
}
