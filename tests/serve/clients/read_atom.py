"""read_atom.py SERVER USER PIPELINE: reads a pipeline's stage feed with feedparser, page by page, with the password from the variable
GOCD_PASSWORD, and prints what it found as JSON.

feedparser knows Atom, and nothing of GoCD: titles, times, authors, categories and links are where the standard has them."""

import base64
import json
import os
import sys
from urllib.request import Request, urlopen

import feedparser

server, user, pipeline = sys.argv[1:]
secret = base64.b64encode(f"{user}:{os.environ['GOCD_PASSWORD']}".encode()).decode()


def get(url):
    with urlopen(Request(url, headers={"Authorization": f"Basic {secret}"})) as answer:
        return answer.read(), dict(answer.headers)


pages, entries, url = [], [], f"{server}/go/api/pipelines/{pipeline}/stages.xml"
while url:
    body, headers = get(url)
    feed = feedparser.parse(body, response_headers=headers)
    if feed.bozo:
        sys.exit(f"{url}: {feed.bozo_exception!r}")
    pages.append([feed.version, feed.feed.title, len(feed.entries)])
    entries += feed.entries
    url = next((link.href for link in feed.feed.get("links", []) if link.rel == "next"), None)

first = entries[0]
stage = next(link.href for link in first.links if link.type == "application/vnd.go+xml" and link.rel == "alternate")
print(
    json.dumps(
        {
            "pages": pages,
            "titles": [entry.title for entry in entries],
            "ids": len({entry.id for entry in entries}),
            "first": [first.updated, [author.name for author in first.authors], [tag.term for tag in first.tags]],
            "stage": b"<stage name=\"run\"" in get(stage)[0],
        }
    )
)
