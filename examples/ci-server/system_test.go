package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/pipefold"
)

// Three pipelines. A job of each waits for the others, so that they end only if they run at the same time.
func three(meeting string) string {
	wait := fmt.Sprintf("touch %[1]s/$CI_PIPELINE; while [ $(ls %[1]s | wc -l) -lt 3 ]; do sleep 0.05; done", meeting)
	return fmt.Sprintf(`[
		{"name": "web", "repository": "acme/web", "stages": [
			{"name": "check", "jobs": [
				{"name": "lint", "commands": ["exit 3"], "allow_failure": true},
				{"name": "test", "commands": [%[1]q, "echo $GREETING", "env"], "env": {"GREETING": "good morning"}}]},
			{"name": "ship", "jobs": [{"name": "deploy", "commands": ["true"]}]}]},
		{"name": "api", "stages": [
			{"name": "check", "jobs": [{"name": "test", "commands": [%[1]q, "false", "true"]}]},
			{"name": "ship", "jobs": [{"name": "deploy", "commands": ["true"]}]}]},
		{"name": "docs", "stages": [
			{"name": "build", "jobs": [{"name": "slow", "commands": [%[1]q, "sleep 100"], "time_limit": "1s"}]}]}]`, wait)
}

func TestThreePipelinesAtOnceBehindAPolicy(t *testing.T) {
	d := startDX(t)
	s := newServer(t, d, three(t.TempDir()), "")
	branch := "mona/fix"
	if component := os.Getenv("CI_SERVER_POLICY"); component != "" {
		// A component of the platform team before its rules: it removes addresses from every field.
		branch = "mona@example.com/fix"
		s.write("pipefold.json", fmt.Sprintf(`{"dx_url": "http://%s", "token_file": "token", "policy": [{"file": %q}, %s}`,
			d.address, component, strings.TrimPrefix(policy, "[")))
	}
	s.start()
	began := time.Now()
	triggered := `{"branch": "` + branch + `", "commit": "2c1c3d7", "pull_request": 7, "email": "mona@example.com", "user": "mona"}`
	web, api, docs := s.trigger("web", triggered), s.trigger("api", triggered), s.trigger("docs", triggered)
	for _, ended := range []struct {
		run    run
		status status
	}{{s.wait(web.ID), pipefold.Success}, {s.wait(api.ID), pipefold.Failure}, {s.wait(docs.ID), pipefold.Failure}} {
		if ended.run.Status != ended.status {
			t.Errorf("%s ended with %s", ended.run.Pipeline, ended.run.Status)
		}
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("the time limit of a job was passed over: %s", took)
	}
	_, log, err := s.ask("GET", fmt.Sprintf("/runs/%d/logs/test", web.ID), "")
	check(t, err)
	home := "HOME=" + filepath.Join(s.directory, "data", "work")
	if !strings.Contains(string(log), "good morning") || !strings.Contains(string(log), home) || strings.Contains(string(log), "SECRET_OF") {
		t.Errorf("the log of a job: %s", log)
	}
	s.stop()
	if strings.Contains(d.wasSent(), "mona@example.com") {
		t.Error("an e-mail address was sent to DX")
	}
	records := d.records()
	if len(records) != 3 {
		t.Errorf("DX has %d records", len(records))
	}
	for _, want := range []struct {
		run                run
		name, status, jobs string
	}{
		{web, "platform/web", "success", "deploy success, lint failure, test success"},
		{api, "platform/api", "failure", "test failure"},
		{docs, "platform/docs", "failure", "slow failure"},
	} {
		got := records[reference(want.run)]
		if got.PipelineName != want.name || got.Status != want.status || got.jobs() != want.jobs {
			t.Errorf("DX has %+v of %s", got, want.run.Pipeline)
		}
	}
}

const quick = `[{"name": "quick", "stages": [{"name": "all", "jobs": [{"name": "one", "commands": ["true"]}]}]}]`

func TestDXThatIsDownDelaysNothingAndLosesNothing(t *testing.T) {
	d := startDX(t)
	s := newServer(t, d, quick, "")
	s.start()
	d.down()
	var all []run
	began := time.Now()
	for count := 0; count < 10; count++ {
		r := s.wait(s.trigger("quick", "").ID)
		if r.Status != pipefold.Success {
			t.Errorf("run %d: %s", r.ID, r.Status)
		}
		all = append(all, r)
	}
	// Reports that try to send would take 6 s a run.
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("ten runs took %s", took)
	}
	waiting := func(times int) func() bool {
		return func() bool { return strings.Count(s.log.String(), "runs wait for DX") == times }
	}
	eventually(t, "a line about DX in the log", waiting(1))
	// Also across a restart while DX is down.
	s.stop()
	s.start()
	eventually(t, "a line about DX in the log", waiting(2))
	d.up()
	eventually(t, "the delivery", func() bool { return strings.Contains(s.log.String(), "nothing waits for DX") })
	s.stop()
	expect(t, d.records(), all)
}

func TestDXThatHangsDelaysNeitherRunsNorTheStop(t *testing.T) {
	d := startDX(t)
	s := newServer(t, d, quick, "")
	s.start()
	check(t, d.process.Process.Signal(syscall.SIGSTOP))
	var all []run
	began := time.Now()
	for count := 0; count < 5; count++ {
		all = append(all, s.wait(s.trigger("quick", "").ID))
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("five runs took %s", took)
	}
	began = time.Now()
	s.stop()
	if took := time.Since(began); took > 3*flushTime {
		t.Errorf("the stop took %s", took)
	}
	check(t, d.process.Process.Signal(syscall.SIGCONT))
	s.start()
	s.stop()
	expect(t, d.records(), all)
}

func TestKilledServerEndsWhatItHadBegunAndGoesOnWithTheRest(t *testing.T) {
	d := startDX(t)
	pidFile := filepath.Join(t.TempDir(), "pid")
	s := newServer(t, d, fmt.Sprintf(`[
		{"name": "deploy", "stages": [
			{"name": "build", "jobs": [{"name": "compile", "commands": ["true"]}]},
			{"name": "ship", "jobs": [{"name": "copy", "commands": ["(sleep 200; true) & echo $! >%s", "wait"]}]}]},
		{"name": "quick", "stages": [{"name": "all", "jobs": [{"name": "one", "commands": ["true"]}]}]}]`, pidFile), `, "runs_at_once": 1`)
	s.start()
	begun, waits := s.trigger("deploy", ""), s.trigger("quick", "")
	var pid int
	eventually(t, "the second job", func() bool {
		text, _ := os.ReadFile(pidFile)
		_, err := fmt.Sscanf(string(text), "%d\n", &pid)
		return err == nil
	})
	s.kill()
	eventually(t, "the end of the killed server's processes", func() bool { return syscall.Kill(pid, 0) != nil })
	s.start()
	begun, waits = s.wait(begun.ID), s.wait(waits.ID)
	if begun.Status != pipefold.Cancelled || waits.Status != pipefold.Success {
		t.Errorf("the run that had begun: %s; the run that waited: %s", begun.Status, waits.Status)
	}
	s.stop()
	records := d.records()
	expect(t, records, []run{begun, waits})
	if jobs := records[reference(begun)].jobs(); jobs != "compile success, copy cancelled" {
		t.Errorf("DX has the jobs: %s", jobs)
	}
}

// The server is killed at any time, again and again. Each run that it acknowledged has one record at DX, with the status that the server shows.
func TestServerKilledAnywhere(t *testing.T) {
	rounds := 12
	if more, err := strconv.Atoi(os.Getenv("CI_SERVER_KILLS")); err == nil {
		rounds = more
	}
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewSource(seed))
	d := startDX(t)
	s := newServer(t, d, quick, "")
	var acknowledged []run
	for round := 0; round < rounds; round++ {
		s.start()
		killed := time.After(time.Duration(random.Intn(400)) * time.Millisecond)
		if random.Intn(3) == 0 {
			d.down()
		}
		for alive := true; alive; {
			select {
			case <-killed:
				s.kill()
				alive = false
			default:
				if code, answer, err := s.ask("POST", "/pipelines/quick/runs", ""); err == nil && code == 201 {
					var r run
					check(t, json.Unmarshal(answer, &r))
					acknowledged = append(acknowledged, r)
				}
				time.Sleep(time.Duration(random.Intn(30)) * time.Millisecond)
			}
		}
		if random.Intn(2) == 0 {
			d.down()
			d.up()
		}
	}
	d.down()
	d.up()
	s.start()
	for _, r := range acknowledged {
		s.wait(r.ID)
	}
	// A run may be in the journal without an answer to its client.
	all := s.all()
	for _, r := range all {
		s.wait(r.ID)
	}
	all = s.all()
	s.stop()
	statuses := make(map[status]int)
	for _, r := range all {
		statuses[r.Status]++
	}
	t.Logf("%d runs, %d acknowledged: %v", len(all), len(acknowledged), statuses)
	expect(t, d.records(), all)
}

// expect compares what DX has with what the server shows.
func expect(t *testing.T, records map[string]record, runs []run) {
	t.Helper()
	if len(records) != len(runs) {
		t.Errorf("DX has %d records of %d runs", len(records), len(runs))
	}
	for _, r := range runs {
		got, found := records[reference(r)]
		switch {
		case !found:
			t.Errorf("DX has no record of run %d", r.ID)
		case got.Status != string(r.Status):
			t.Errorf("DX has run %d as %s, and it is %s", r.ID, got.Status, r.Status)
		case len(got.Jobs) != len(r.Jobs):
			t.Errorf("DX has %d jobs of run %d, and it has %d", len(got.Jobs), r.ID, len(r.Jobs))
		}
	}
}

// A newer library takes the place of the old one, and the program of the server stays the same.
func TestUpgradeOfTheLibrary(t *testing.T) {
	d := startDX(t)
	s := newServer(t, d, quick, "")
	installed := filepath.Join(os.Getenv("LD_LIBRARY_PATH"), "libpipefold.so.1")
	s.libraries = t.TempDir()
	install := func(from string) {
		// By a rename, as package managers do it: a server that is running keeps the file that it has.
		check(t, exec.Command("cp", from, filepath.Join(s.libraries, "new")).Run())
		check(t, os.Rename(filepath.Join(s.libraries, "new"), filepath.Join(s.libraries, "libpipefold.so.1")))
	}
	version := func() (said struct {
		Pipefold  string
		Interface int
	}) {
		s.get("/", &said)
		return said
	}
	install(installed)
	s.start()
	before := version()
	first := s.wait(s.trigger("quick", "").ID)
	d.down()
	second := s.wait(s.trigger("quick", "").ID)
	install(other(t, installed, 1))
	third := s.wait(s.trigger("quick", "").ID)
	if now := version(); now != before {
		t.Errorf("%v became %v without a restart", before, now)
	}
	s.stop()
	s.start()
	if now := version(); now.Pipefold != "99.0.0" || now.Interface != before.Interface {
		t.Errorf("after the upgrade: %v", now)
	}
	d.up()
	fourth := s.wait(s.trigger("quick", "").ID)
	s.stop()
	expect(t, d.records(), []run{first, second, third, fourth})

	install(other(t, installed, 2))
	if err := s.launch(); err == nil {
		t.Fatal("the server runs with a library of another interface")
	}
	if want := "is 99.0.0 with interface 2, and this program needs interface 1"; !strings.Contains(s.log.String(), want) {
		t.Errorf("no clear error: %s", s.log)
	}
}

// other gives a library that is another version of the installed one.
func other(t *testing.T, installed string, abi int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "other.so")
	compiled := exec.Command("cc", "-shared", "-fPIC", "-Wl,-soname,libpipefold.so.1", "-o", file, "testdata/other_version.c", "-ldl",
		fmt.Sprintf("-DABI=%d", abi), fmt.Sprintf("-DINSTALLED=%q", installed))
	if output, err := compiled.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return file
}

// The files that README.md starts from.
func TestSampleSettings(t *testing.T) {
	d := startDX(t)
	s := newServer(t, d, "[]", "")
	for _, name := range []string{"server.json", "pipelines.json", "pipefold.json"} {
		text, err := os.ReadFile(filepath.Join("sample", name))
		check(t, err)
		sample := strings.ReplaceAll(string(text), "https://yourinstance.getdx.net", "http://"+d.address)
		s.write(name, strings.ReplaceAll(sample, "127.0.0.1:8700", "127.0.0.1:0"))
	}
	s.write("dx-token", "secret")
	s.start()
	r := s.wait(s.trigger("web", `{"branch": "main"}`).ID)
	s.stop()
	records := d.records()
	if got := records["ci.example.com/web/"+strconv.FormatInt(r.ID, 10)]; len(records) != 1 || got.PipelineName != "acme/web" {
		t.Errorf("DX has %+v", records)
	}
}

// The platform team renames pipelines in another way while runs wait. What waits is sent under the new rules.
func TestPolicyThatChangesWhileRunsWait(t *testing.T) {
	d := startDX(t)
	s := newServer(t, d, quick, "")
	d.down()
	s.start()
	r := s.wait(s.trigger("quick", `{"email": "mona@example.com"}`).ID)
	s.stop()
	text, err := os.ReadFile(filepath.Join(s.directory, "pipefold.json"))
	check(t, err)
	s.write("pipefold.json", strings.Replace(string(text), "platform/*", "renamed/*", 1))
	d.up()
	s.start()
	s.stop()
	records := d.records()
	expect(t, records, []run{r})
	if name := records[reference(r)].PipelineName; name != "renamed/quick" || strings.Contains(d.wasSent(), "mona@") {
		t.Errorf("DX has the pipeline %s", name)
	}
}

// The spool is too small for what waits while DX is down: those runs are reported again when there is room.
func TestSpoolThatIsFull(t *testing.T) {
	d := startDX(t)
	s := newServer(t, d, quick, "")
	text, err := os.ReadFile(filepath.Join(s.directory, "pipefold.json"))
	check(t, err)
	s.write("pipefold.json", strings.Replace(string(text), "{", `{"spool_limit": "16KiB", `, 1))
	d.down()
	s.start()
	var all []run
	eventually(t, "a full spool", func() bool {
		all = append(all, s.trigger("quick", ""))
		return strings.Contains(s.log.String(), "nothing new is accepted")
	})
	last := all[len(all)-1].ID
	eventually(t, "the end of all runs", func() bool { return s.show(last).EndedAt != nil })
	d.up()
	for at, r := range all {
		all[at] = s.wait(r.ID)
	}
	s.stop()
	expect(t, d.records(), all)
}

// A policy that loops, crashes, and takes all the memory and stack that it gets: it costs its limits and holds back the runs that it fails on, until
// the platform team puts another one in its place. The branch says how it misbehaves.
func TestHostilePolicy(t *testing.T) {
	component := os.Getenv("CI_SERVER_HOSTILE")
	if component == "" {
		t.Skip("CI_SERVER_HOSTILE names no component")
	}
	d := startDX(t)
	s := newServer(t, d, quick, "")
	text, err := os.ReadFile(filepath.Join(s.directory, "pipefold.json"))
	check(t, err)
	s.write("pipefold.json", fmt.Sprintf(`{"dx_url": "http://%s", "token_file": "token", "policy": [{"file": %q}]}`, d.address, component))
	s.start()
	var all []run
	for _, branch := range []string{"main", "loop", "trap", "recurse", "allocate", "flood", "main"} {
		all = append(all, s.trigger("quick", fmt.Sprintf(`{"branch": %q}`, branch)))
	}
	for at, r := range all {
		if all[at] = s.wait(r.ID); all[at].Status != pipefold.Success {
			t.Errorf("the run with the branch %s: %s", r.Trigger.Branch, all[at].Status)
		}
	}
	eventually(t, "the delivery of the last run", func() bool { return strings.Contains(d.wasSent(), reference(all[6])) })
	if sent := d.wasSent(); strings.Contains(sent, reference(all[1])) || strings.Contains(sent, reference(all[2])) {
		t.Error("a run that the policy failed on was sent")
	}
	s.stop()
	s.write("pipefold.json", string(text))
	s.start()
	s.stop()
	expect(t, d.records(), all)
}
