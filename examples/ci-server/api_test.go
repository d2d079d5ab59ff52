package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"example.com/pipefold"
)

func TestRequests(t *testing.T) {
	d := startDX(t)
	s := newServer(t, d, `[{"name": "slow", "stages": [{"name": "all", "jobs": [{"name": "one", "commands": ["sleep 100"]}]}]},
		{"name": "loud", "stages": [{"name": "all", "jobs": [{"name": "one", "commands": ["head -c 20000000 /dev/zero"]}]}]}]`,
		`, "runs_at_once": 1, "most_queued": 2`)
	s.start()
	running := s.trigger("slow", "")
	eventually(t, "the start of a run", func() bool { return len(s.show(running.ID).Jobs) == 1 })
	waiting := s.trigger("slow", "{}")
	other := s.trigger("slow", `{"branch": "`+strings.Repeat("ö", 127)+`"}`)

	for _, asked := range []struct {
		method, path, body string
		code               int
		says               string
	}{
		{"POST", "/pipelines/slow/runs", "", 503, "too many runs wait"},
		{"POST", "/pipelines/none/runs", "", 404, "no such pipeline"},
		{"POST", "/pipelines/..%2f..%2fetc/runs", "", 404, ""},
		{"POST", "/pipelines/slow/runs", "{", 400, "the body: "},
		{"POST", "/pipelines/slow/runs", `{"brnach": "x"}`, 400, `unknown field \"brnach\"`},
		{"POST", "/pipelines/slow/runs", `{"branch": "` + strings.Repeat("a", 256) + `"}`, 400, "255 bytes"},
		{"POST", "/pipelines/slow/runs", `{"branch": "` + strings.Repeat("a", maxBody) + `"}`, 400, "too large"},
		{"POST", "/pipelines/slow/runs", `{"user": "a\u0000b"}`, 400, "control characters"},
		{"POST", "/pipelines/slow/runs", `{"pull_request": -1}`, 400, "pull_request"},
		{"GET", "/runs/0", "", 404, "no such run"},
		{"GET", "/runs/99999999999999999999", "", 404, "no such run"},
		{"GET", "/runs?before=x", "", 400, "before"},
		{"GET", fmt.Sprintf("/runs?before=%d", running.ID), "", 200, "[]"},
		{"GET", fmt.Sprintf("/runs/%d/logs/none", running.ID), "", 404, "no log"},
		{"GET", fmt.Sprintf("/runs/%d/logs/..%%2f..%%2f..%%2ftoken", running.ID), "", 404, ""},
		{"DELETE", "/runs", "", 404, ""},
		{"GET", "/nothing", "", 404, ""},
	} {
		code, answer, err := s.ask(asked.method, asked.path, asked.body)
		if err != nil || code != asked.code || !bytes.Contains(answer, []byte(asked.says)) {
			t.Errorf("%s %s: %d %s %v", asked.method, asked.path, code, answer, err)
		}
	}
	// What a page in a browser could send.
	for _, change := range []func(*http.Request){
		func(request *http.Request) { request.Host = "evil.example.com" },
		func(request *http.Request) { request.Header.Set("Content-Type", "text/plain") },
	} {
		request, err := http.NewRequest("POST", fmt.Sprintf("%s/runs/%d/cancel", s.address, running.ID), nil)
		check(t, err)
		request.Header.Set("Content-Type", "application/json")
		change(request)
		response, err := http.DefaultClient.Do(request)
		check(t, err)
		response.Body.Close()
		if response.StatusCode < 400 {
			t.Errorf("%v: %s", request, response.Status)
		}
	}

	// Cancelled in the queue, and then while it runs.
	for _, id := range []int64{waiting.ID, running.ID} {
		if code, answer, err := s.ask("POST", fmt.Sprintf("/runs/%d/cancel", id), ""); err != nil || code != 200 {
			t.Errorf("cancel: %d %s %v", code, answer, err)
		}
		if r := s.wait(id); r.Status != pipefold.Cancelled {
			t.Errorf("a cancelled run is %s", r.Status)
		}
	}
	if code, _, err := s.ask("POST", fmt.Sprintf("/runs/%d/cancel", waiting.ID), ""); err != nil || code != 409 {
		t.Errorf("cancelled twice: %d %v", code, err)
	}
	// The run that is next is that one behind the cancelled one.
	eventually(t, "the start of the next run", func() bool { return len(s.show(other.ID).Jobs) == 1 })
	loud := s.trigger("loud", "")
	if _, _, err := s.ask("POST", fmt.Sprintf("/runs/%d/cancel", other.ID), ""); err != nil {
		t.Error(err)
	}
	ended := []run{s.wait(running.ID), s.wait(waiting.ID), s.wait(other.ID), s.wait(loud.ID)}
	if ended[3].Status != pipefold.Success {
		t.Errorf("a job with a long log: %s", ended[3].Status)
	}
	info, err := os.Stat(logFile(s.directory+"/data", loud.ID, "one"))
	check(t, err)
	if size := info.Size(); size < maxLog || size > maxLog+100 {
		t.Errorf("the log of 20 MB has %d bytes", size)
	}
	s.stop()
	expect(t, d.records(), ended)
}
