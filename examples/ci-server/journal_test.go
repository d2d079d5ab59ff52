package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"example.com/pipefold"
)

// threeRuns makes a journal of runs in several states and gives its path.
func threeRuns(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	all, err := openRuns(path, 100, nil)
	check(t, err)
	defer all.close()
	for count := 0; count < 3; count++ {
		r, err := all.create(&pipeline{Name: "web", Repository: "acme/web"}, trigger{Branch: "größer\u2028", PullRequest: int64(count)})
		check(t, err)
		if count < 2 {
			all.add(event{What: started, Run: r.ID})
			all.add(event{What: jobStarted, Run: r.ID, Job: "test", AllowFailure: true})
		}
		if count < 1 {
			all.add(event{What: jobEnded, Run: r.ID, Job: "test", Status: pipefold.Failure})
			all.add(event{What: ended, Run: r.ID, Status: pipefold.Success})
			all.add(event{What: reported, Run: r.ID})
		}
	}
	return path
}

func TestRunsAreTheSameAfterARestart(t *testing.T) {
	path := threeRuns(t)
	first, err := openRuns(path, 100, nil)
	check(t, err)
	before := first.list(1<<62, 100)
	first.close()
	if len(before) != 3 || before[2].Status != pipefold.Success || before[1].Status != pipefold.Running || before[0].Status != queued {
		t.Fatalf("%+v", before)
	}
	second, err := openRuns(path, 100, nil)
	check(t, err)
	defer second.close()
	if after := second.list(1<<62, 100); !reflect.DeepEqual(before, after) {
		t.Errorf("%+v became %+v", before, after)
	}
	if r, err := second.create(&pipeline{Name: "web"}, trigger{}); err != nil || r.ID <= before[0].ID {
		t.Errorf("the number %d after %d: %v", r.ID, before[0].ID, err)
	}
}

// A process that is killed while it appends leaves any part of a line.
func TestJournalThatIsCutAnywhereIsReadUpToThere(t *testing.T) {
	whole, err := os.ReadFile(threeRuns(t))
	check(t, err)
	for size := len(whole) - 200; size < len(whole); size++ { // The last two lines.
		path := filepath.Join(t.TempDir(), "journal")
		check(t, os.WriteFile(path, whole[:size], 0o600))
		j, events, err := openJournal(path)
		if err != nil {
			t.Fatalf("cut at %d: %v", size, err)
		}
		if lines := bytes.Count(whole[:size], []byte("\n")); len(events) != lines {
			t.Fatalf("cut at %d: %d events of %d lines", size, len(events), lines)
		}
		check(t, j.append(event{What: created, Run: 1}))
		j.file.Close()
		if _, more, err := openJournal(path); err != nil || len(more) != len(events)+1 {
			t.Fatalf("cut at %d and appended to: %d events, %v", size, len(more), err)
		}
	}
}

func TestJournalWithAWrongLineIsNotGuessedAt(t *testing.T) {
	path := threeRuns(t)
	whole, err := os.ReadFile(path)
	check(t, err)
	check(t, os.WriteFile(path, bytes.Replace(whole, []byte(`"what"`), []byte(`"wh\x00t`), 2), 0o600))
	if _, err := openRuns(path, 100, nil); err == nil || !strings.Contains(err.Error(), "journal:1: ") {
		t.Errorf("%v", err)
	}
}

func TestOldRunsAreForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	var forgotten []int64
	all, err := openRuns(path, 10, func(id int64) { forgotten = append(forgotten, id) })
	check(t, err)
	for count := 0; count < 300; count++ {
		r, err := all.create(&pipeline{Name: "web"}, trigger{})
		check(t, err)
		all.add(event{What: started, Run: r.ID})
		all.add(event{What: ended, Run: r.ID, Status: pipefold.Success})
		all.add(event{What: reported, Run: r.ID})
	}
	kept := all.list(1<<62, 100)
	all.close()
	if len(kept) != 10 || len(forgotten) != 290 {
		t.Fatalf("%d runs are kept, %d forgotten", len(kept), len(forgotten))
	}
	all, err = openRuns(path, 10, nil)
	check(t, err)
	defer all.close()
	if again := all.list(1<<62, 100); !reflect.DeepEqual(kept, again) {
		t.Errorf("%+v became %+v", kept, again)
	}
	// Of 1200 events.
	if text, err := os.ReadFile(path); err != nil || bytes.Count(text, []byte("\n")) > 40+mostUseless {
		t.Errorf("the journal has %d lines: %v", bytes.Count(text, []byte("\n")), err)
	}
}

func TestTwoServersInOneDirectory(t *testing.T) {
	directory := t.TempDir()
	lock, err := lockDirectory(directory)
	check(t, err)
	if _, err := lockDirectory(directory); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("%v", err)
	}
	lock.Close()
	lock, err = lockDirectory(directory)
	check(t, err)
	lock.Close()
}

func TestHostileFilesOfPipelines(t *testing.T) {
	job := `{"name": "j", "commands": ["true"]}`
	one := func(name, jobs string) string {
		return fmt.Sprintf(`[{"name": %s, "stages": [{"name": "s", "jobs": [%s]}]}]`, name, jobs)
	}
	for text, want := range map[string]string{
		``:                       "EOF",
		`{}`:                     "cannot unmarshal object",
		`[null]`:                 "pipeline 1 is null",
		`[] []`:                  "more after",
		"[\n\n{\"name\": }]":     "pipelines.json:3: invalid character",
		`[{"nmae": "x"}]`:        `unknown field "nmae"`,
		`[{"name": "x"}]`:        "stages: there is none",
		one(`"../../etc"`, job):  "name: a name has",
		one(`"a\u0000b"`, job):   "name: a name has",
		one(`".."`, job):         "name: a name has",
		one(`"größer"`, job):     "name: a name has",
		one(`""`, job):           "name: a name has",
		one(`"p"`, ""):           "jobs: there is none",
		one(`"p"`, job+","+job):  "another one named",
		one(`"p"`, `{"name":1}`): "cannot unmarshal number",
		one(`"p"`, `{"name": "j", "commands": []}`):                            "commands: there is none",
		one(`"p"`, `{"name": "a/../../b", "commands": ["true"]}`):              "name: a name has",
		one(`"p"`, `{"name": "j", "commands": ["a\u0000"]}`):                   "has a NUL",
		one(`"p"`, `{"name": "j", "commands": ["a"], "env": {"A=B": "x"}}`):    "no name of a variable",
		one(`"p"`, `{"name": "j", "commands": ["a"], "env": {"A": "\u0000"}}`): "has a NUL",
		one(`"p"`, `{"name": "j", "commands": ["a"], "time_limit": "-1s"}`):    "time_limit",
		one(`"p"`, `{"name": "j", "commands": ["a"], "time_limit": "soon"}`):   "no duration",
		one(fmt.Sprintf("%q", strings.Repeat("a", 101)), job):                  "name: a name has",
		strings.Repeat("[", 1<<19):                                             "exceeded max depth",
		"[" + strings.Repeat(" ", maxFile) + "]":                               "more than",
	} {
		file := filepath.Join(t.TempDir(), "pipelines.json")
		check(t, os.WriteFile(file, []byte(text), 0o600))
		if _, err := readPipelines(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v", text, err)
		}
	}
	for _, text := range []string{`[]`, one(`"p"`, job), one(fmt.Sprintf("%q", strings.Repeat("a", 100)), job)} {
		file := filepath.Join(t.TempDir(), "pipelines.json")
		check(t, os.WriteFile(file, []byte(text), 0o600))
		if _, err := readPipelines(file); err != nil {
			t.Errorf("%.80s: %v", text, err)
		}
	}
}
