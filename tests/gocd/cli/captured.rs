//! A captured crawl of a real server, served as files.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use pipefold_tests::{Ci, fixtures, skipped};
use serde_json::{Value, json};

#[test]
fn the_captured_crawl_gives_the_upserts_of_the_table() {
    let Some(root) = fixtures("gocd/go-api-client/ordering") else {
        skipped(
            "the_captured_crawl_gives_the_upserts_of_the_table",
            "no captured documents",
        );
        return;
    };
    let (ci, address) = (Ci::new(), serve(root));
    let url = format!("http://{address}/go");
    let arguments = [
        "gocd",
        "sync",
        "--server",
        &url,
        "--server-id",
        "ci",
        "--pages-url",
        "https://ci.example.com",
    ];
    ci.pipefold(arguments).run().assert_code(0);
    // Counter, start, end, commit: read from the documents by hand.
    let table = [
        (
            1,
            "2012-10-17T09:46:08Z",
            "2012-10-17T09:47:47Z",
            "fed1b0c09dffc299f5a7ff51223cacaceb7cd453",
        ),
        (
            2,
            "2012-10-19T15:18:09Z",
            "2012-10-19T15:19:18Z",
            "eb37d12dfcf3781148f9d155b7ae8fd372669e3d",
        ),
        (
            3,
            "2012-10-23T08:46:07Z",
            "2012-10-23T08:47:11Z",
            "50d153db238600bb4474ecca69e45c408cadfccb",
        ),
        (
            4,
            "2012-10-26T05:52:10Z",
            "2012-10-26T05:53:19Z",
            "48ce81580ecb6ab8d1c7933087f85466c23c16c0",
        ),
        (
            5,
            "2012-10-29T08:08:08Z",
            "2012-10-29T08:09:11Z",
            "53fd6b7cc1d95f8d198b3e52fc0f3755e12ff0de",
        ),
    ];
    let mut upserts = ci.dx.upserts();
    upserts.sort_by_key(|upsert| upsert["reference_id"].to_string());
    let expected: Vec<Value> = table
        .iter()
        .map(|(counter, started_at, finished_at, commit_sha)| {
            json!({
                "pipeline_name": "defaultPipeline",
                "pipeline_source": "GoCD",
                "reference_id": format!("gocd/ci/defaultPipeline/{counter}"),
                "started_at": started_at,
                "finished_at": finished_at,
                "status": "success",
                "repository": "ThoughtWorksInc/go_saas_trigger",
                "commit_sha": commit_sha,
                "head_branch": "master",
                "source_url": format!("https://ci.example.com/go/pipelines/value_stream_map/defaultPipeline/{counter}"),
            })
        })
        .collect();
    assert_eq!(upserts, expected);
}

/// Serves a directory of documents, and the list of the one pipeline in it, which was not captured. It ends with the process.
fn serve(root: PathBuf) -> std::net::SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let root = root.clone();
            std::thread::spawn(move || answer(&stream, &root));
        }
    });
    address
}

fn answer(stream: &TcpStream, root: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let path = head.split(' ').nth(1).unwrap_or_default();
        let list = "<pipelines><pipeline href=\"http://localhost:8153/go/api/pipelines/defaultPipeline/stages.xml\"/></pipelines>";
        let document = match path {
            "/go/api/pipelines.xml" => Some(list.as_bytes().to_vec()),
            _ if path.contains("..") => None,
            _ => std::fs::read(root.join(path.trim_start_matches('/'))).ok(),
        };
        let status = if document.is_some() { "200 OK" } else { "404 Not Found" };
        let body = document.unwrap_or_else(|| b"Not Found!".to_vec());
        let mut to = stream;
        write!(to, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len())?;
        to.write_all(&body)?;
    }
}
