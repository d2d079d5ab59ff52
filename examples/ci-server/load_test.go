package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"example.com/pipefold"
)

// use is what a server takes of the machine.
type use struct {
	kilobytes, threads, files int
	journal                   int64
}

func (s *server) use() use {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	check(s.t, err)
	number := func(name string) int {
		found := regexp.MustCompile(name + `:\s+(\d+)`).FindSubmatch(text)
		number, err := strconv.Atoi(string(found[1]))
		check(s.t, err)
		return number
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.process.Process.Pid))
	check(s.t, err)
	info, err := os.Stat(s.directory + "/data/journal")
	check(s.t, err)
	return use{number("VmRSS"), number("Threads"), len(files), info.Size()}
}

// Many runs, as fast as the server takes them: every one is in DX, and the server needs no more at the end than before.
func TestManyRuns(t *testing.T) {
	count := 100
	if more, err := strconv.Atoi(os.Getenv("CI_SERVER_RUNS")); err == nil {
		count = more
	}
	d := startDX(t)
	s := newServer(t, d, quick, `, "runs_at_once": 8, "agents": 8, "most_queued": 100000, "keep": 20`)
	s.start()
	began := time.Now()
	var before use
	var last run
	for made := 1; made <= count; made++ {
		last = s.trigger("quick", `{"branch": "main", "email": "mona@example.com"}`)
		if made%50 == 0 { // Never many in the queue, as they are kept in memory.
			s.wait(last.ID)
		}
		if made == count/2 {
			before = s.use()
		}
	}
	s.wait(last.ID)
	eventually(t, "the end of all runs", func() bool {
		var runs []run
		s.get("/runs", &runs)
		for _, r := range runs {
			if !r.Reported {
				return false
			}
		}
		return true
	})
	after := s.use()
	t.Logf("%d runs in %s: %+v became %+v", count, time.Since(began).Round(time.Millisecond), before, after)
	if after.kilobytes > before.kilobytes+16<<10 || after.threads > before.threads+20 || after.files > before.files+20 {
		t.Errorf("%+v became %+v", before, after)
	}
	var kept []run
	s.get("/runs", &kept)
	if len(kept) != 20 {
		t.Errorf("%d runs are kept", len(kept))
	}
	logs, err := os.ReadDir(s.directory + "/data/logs")
	check(t, err)
	if len(logs) != 20 {
		t.Errorf("the logs of %d runs are kept", len(logs))
	}
	eventually(t, "the delivery of all runs", func() bool {
		waiting, err := os.ReadDir(s.directory + "/data/pipefold/runs")
		return err == nil && len(waiting) == 0
	})
	s.stop()
	records := d.records()
	if len(records) != count {
		t.Errorf("DX has %d records of %d runs", len(records), count)
	}
	for id, got := range records {
		if got.Status != string(pipefold.Success) || got.jobs() != "one success" {
			t.Errorf("DX has %s as %s with %s", id, got.Status, got.jobs())
		}
	}
}
