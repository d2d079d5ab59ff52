"""read_feeds.py SERVER USER PIPELINE: reads a GoCD server's feeds with yagocd, by their old addresses, with the password from the variable
GOCD_PASSWORD, and prints what it found as JSON.

yagocd first looks up the server's version, on the page /go/about. It has a method for each address of the feeds but for the further pages of a
stage feed, which its session gets by their links. It gives the documents as text."""

import json
import os
import sys
from xml.etree import ElementTree

from yagocd import Yagocd
from yagocd.exception import RequestError

ATOM = "{http://www.w3.org/2005/Atom}"
server, user, pipeline = sys.argv[1:]


def number(href):
    return int(href.rsplit("/", 1)[1].removesuffix(".xml"))


def link(element, relation):
    found = element.find(f"{ATOM}link[@rel='{relation}']")
    return None if found is None else found.get("href")


def refused(call):
    try:
        call()
        return None
    except RequestError as error:
        return error.response.status_code


go = Yagocd(server=server, auth=(user, os.environ["GOCD_PASSWORD"]))
feeds = go.feeds
listed = ElementTree.fromstring(feeds.pipelines())

pages, titles = [], []
document = feeds.stages(pipeline)
while True:
    feed = ElementTree.fromstring(document)
    entries = feed.findall(f"{ATOM}entry")
    pages.append(len(entries))
    titles += [entry.find(f"{ATOM}title").text for entry in entries]
    if not pages[1:]:
        first = entries[0]
    following = link(feed, "next")
    if following is None:
        break
    document = go._session.get(path=following).text

relation = "http://www.thoughtworks-studios.com/ns/relations/go/pipeline"
run = ElementTree.fromstring(feeds.pipeline_by_id(number(link(first, relation))))
stage_id = number(link(first, "alternate"))
stage = ElementTree.fromstring(feeds.stage_by_id(stage_id))
by_name = ElementTree.fromstring(feeds.stage(pipeline, run.get("counter"), stage.get("name"), stage.get("counter")))
jobs = [ElementTree.fromstring(feeds.job_by_id(number(job.get("href")))) for job in stage.iter("job")]

print(
    json.dumps(
        {
            "version": go.info.version,
            "pipelines": [pipeline.get("href") for pipeline in listed.iter("pipeline")],
            "pages": pages,
            "titles": titles,
            "run": [run.get("name"), int(run.get("counter")), run.find(".//material").get("branch"), run.find(".//revision").text],
            "stage": [stage.find("result").text, stage.find("state").text, stage.find("updated").text],
            "same by name": ElementTree.tostring(stage) == ElementTree.tostring(by_name),
            "jobs": [[job.get("name"), job.find("result").text] for job in jobs],
            "times": [property.text for job in jobs for property in job.iter("property") if "timestamp_06" in property.get("name")],
            "wrong password": refused(Yagocd(server=server, auth=(user, "wrong")).feeds.pipelines),
            "unknown pipeline": refused(lambda: feeds.stages("none")),
        }
    )
)
