package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"

	"example.com/pipefold"
)

// flushTime is the longest time of one attempt to send. A server that stops waits for the attempt that is running.
const flushTime = 5 * time.Second

// reports gives the server's runs to pipefold. Nothing else in this server calls the library.
//
// Three rules make one record of each run in DX, and in the end the right one, wherever the server is killed:
//
//   - An event is first in the journal and then reported. So a report says nothing that is unknown after a restart.
//   - A report only records. It takes a write to the disk and no request, so DX cannot delay a run. One goroutine sends in the background.
//   - A run is reported again from its start if one of its reports may be missing. The notifications of a run fold into one record, in any order
//     and any number, so repeating them is harmless.
type reports struct {
	server   *config
	runs     *runs
	reporter *pipefold.Reporter
	policies bool // True if pipefold.json has any.

	mutex      sync.Mutex
	incomplete map[int64]bool // runs of which a report failed
	warned     string         // the last warning in the log

	wake, stop, stopped chan struct{}
}

// openReports opens pipefold with the settings of the platform team's file as they are. The server knows few of their keys, so that those of a
// newer library can be set too.
func openReports(c *config, all *runs) (*reports, error) {
	if err := pipefold.Check(); err != nil {
		return nil, err
	}
	settings := make(map[string]json.RawMessage)
	if err := readJSON(c.Pipefold, &settings); err != nil {
		return nil, err
	}
	// Without a budget for sending, a report only records.
	setDefault(settings, "budgets", map[string]string{"start": "0s", "finish": "0s"})
	setDefault(settings, "spool", filepath.Join(c.Data, "pipefold"))
	reporter, err := pipefold.Open(settings, logPipefold)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Pipefold, err)
	}
	log.Printf("pipefold %s, interface %d", pipefold.Version(), pipefold.ABI())
	var policies []json.RawMessage
	_ = json.Unmarshal(settings["policy"], &policies) // The library has checked it.
	return &reports{
		server: c, runs: all, reporter: reporter, policies: len(policies) > 0, incomplete: make(map[int64]bool),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}, nil
}

func setDefault(settings map[string]json.RawMessage, key string, value any) {
	if _, given := settings[key]; !given {
		settings[key], _ = json.Marshal(value) // Texts alone: this cannot fail.
	}
}

// logPipefold puts messages of the library into the server's log. Several goroutines call it at once.
func logPipefold(level pipefold.Level, message string) {
	if level <= pipefold.LevelInfo {
		log.Printf("pipefold: %s: %s", level, message)
	}
}

// start reports that a run began.
func (rs *reports) start(r run) {
	rs.note(r.ID, rs.report(r.ID, rs.reporter.Start, rs.notification(r)))
	rs.wakeUp()
}

// job reports that a job began or ended.
func (rs *reports) job(r run, name string) {
	rs.note(r.ID, rs.report(r.ID, rs.reporter.Step, rs.step(r, r.job(name))))
}

// finish reports that a run ended. The result is true if this and all earlier reports of the run are recorded.
func (rs *reports) finish(r run) bool {
	rs.note(r.ID, rs.report(r.ID, rs.reporter.Finish, rs.end(r)))
	rs.mutex.Lock()
	complete := !rs.incomplete[r.ID]
	rs.mutex.Unlock()
	if complete {
		rs.runs.add(event{What: reported, Run: r.ID})
	}
	rs.wakeUp()
	return complete
}

// again reports an ended run from its start. The result is that of finish.
func (rs *reports) again(r run) bool {
	rs.mutex.Lock()
	delete(rs.incomplete, r.ID)
	rs.mutex.Unlock()
	rs.start(r)
	for _, j := range r.Jobs {
		rs.job(r, j.Name)
	}
	return rs.finish(r)
}

// report makes one report and logs its faults. The result is false if the report has to be repeated.
func (rs *reports) report(id int64, call func(pipefold.Notification) (*pipefold.Receipt, error), n pipefold.Notification) bool {
	receipt, err := call(n)
	if err != nil {
		log.Printf("run %d: %v", id, err)
		// A notification that breaks rules would be refused again.
		var wrong *pipefold.Error
		return errors.As(err, &wrong) && wrong.Status == pipefold.Refused
	}
	for _, warning := range receipt.Warnings {
		rs.warn(id, warning)
	}
	return receipt.OnDisk
}

// warn logs a warning unless it is the same as the last one: a policy that does not load gives one for each report.
func (rs *reports) warn(id int64, warning string) {
	rs.mutex.Lock()
	defer rs.mutex.Unlock()
	if warning != rs.warned {
		log.Printf("run %d: pipefold: %s", id, warning)
		rs.warned = warning
	}
}

// note remembers a run of which a report failed.
func (rs *reports) note(id int64, complete bool) {
	if !complete {
		rs.mutex.Lock()
		rs.incomplete[id] = true
		rs.mutex.Unlock()
	}
}

// notification says what is known of a run at its start. The times are the journal's: a repeated report has the same ones.
func (rs *reports) notification(r run) pipefold.Notification {
	n := pipefold.Notification{
		PipelineName:   r.Pipeline,
		PipelineSource: "ci-server",
		ReferenceID:    fmt.Sprintf("%s/%s/%d", rs.server.Name, r.Pipeline, r.ID),
		StartedAt:      pipefold.Time(r.start()),
		Repository:     r.Repository,
		HeadBranch:     r.Trigger.Branch,
		Email:          r.Trigger.Email,
		GithubUsername: r.Trigger.User,
	}
	// DX takes these of a repository alone.
	if r.Repository != "" {
		n.CommitSHA, n.PRNumber = r.Trigger.Commit, r.Trigger.PullRequest
	}
	if rs.server.URL != "" {
		n.SourceURL = fmt.Sprintf("%s/runs/%d", strings.TrimSuffix(rs.server.URL, "/"), r.ID)
	}
	return n
}

func (rs *reports) end(r run) pipefold.Notification {
	n := rs.notification(r)
	n.Status, n.FinishedAt = r.Status, pipefold.Time(*r.EndedAt)
	return n
}

func (rs *reports) step(r run, j *jobRun) pipefold.Notification {
	n := rs.notification(r)
	n.Step, n.AllowedToFail = j.Name, j.AllowFailure
	n.Status, n.StartedAt = j.Status, pipefold.Time(j.StartedAt)
	if j.EndedAt != nil {
		n.FinishedAt = pipefold.Time(*j.EndedAt)
	}
	return n
}

func (rs *reports) wakeUp() {
	select {
	case rs.wake <- struct{}{}:
	default: // A wake-up is waiting already.
	}
}

// background sends what waits: at once, after each start and end of a run, and now and then for a DX that was down.
func (rs *reports) background() {
	go func() {
		defer close(rs.stopped)
		ticks := time.NewTicker(time.Duration(rs.server.FlushEvery))
		defer ticks.Stop()
		said := rs.send("")
		for rs.isDue(ticks.C) {
			said = rs.send(said)
		}
		if said == "" { // The last attempt reached DX.
			rs.send(said)
		}
	}()
}

// isDue waits until there is something to send. The result is false when the server stops.
func (rs *reports) isDue(ticks <-chan time.Time) bool {
	select {
	case <-rs.stop:
		return false
	default: // Of several cases that are ready, the next select takes any.
	}
	select {
	case <-rs.stop:
		return false
	case <-rs.wake:
	case <-ticks:
		rs.repair()
	}
	return true
}

// repair reports the ended runs again of which a report failed, such as when the disk was full.
func (rs *reports) repair() {
	for _, r := range rs.runs.unreported() {
		rs.mutex.Lock()
		incomplete := rs.incomplete[r.ID]
		rs.mutex.Unlock()
		if incomplete && r.EndedAt != nil && !rs.again(r) {
			return // The cause is rarely the run: the others would fail too.
		}
	}
}

// send sends what waits, and returns a description of the faults. It logs the description if it differs from the one before: while DX is down
// it stays the same for hours.
func (rs *reports) send(before string) string {
	delivery, err := rs.reporter.Flush(&pipefold.FlushOptions{
		Timeout: flushTime.String(),
		// A record is bound to the policies under which it was made. After the platform team has changed them, apply the new ones. That is
		// right here as no other program uses this spool.
		Rejudge: rs.policies,
	})
	if err == nil && delivery.NotLookedAt > 0 && delivery.Accepted > 0 {
		rs.wakeUp() // The time was too short for all.
	}
	said := describe(delivery, err)
	if said != "" && said != before {
		log.Print(said)
	}
	if said == "" && before != "" {
		log.Print("nothing waits for DX any more")
	}
	return said
}

func describe(delivery *pipefold.Delivery, err error) string {
	if err != nil {
		return err.Error()
	}
	var said []string
	if delivery.Impossible != "" {
		said = append(said, "nothing can be sent to DX: "+delivery.Impossible)
	}
	if len(delivery.KeptRuns) > 0 {
		said = append(said, "runs wait for DX: "+reasons(delivery.KeptRuns))
	}
	for _, policies := range delivery.OtherPolicies {
		said = append(said, fmt.Sprintf("runs wait for policies that are not in the settings any more: %v", policies.Names))
	}
	for _, refused := range delivery.RejectedRuns {
		said = append(said, fmt.Sprintf("DX does not take %s: %s", refused.ReferenceID, refused.Why))
	}
	return strings.Join(append(said, delivery.Warnings...), "; ")
}

// reasons gives each reason once, in an order that does not depend on that of the runs.
func reasons(runs []pipefold.Undelivered) string {
	known := make(map[string]bool)
	var all []string
	for _, r := range runs {
		if !known[r.Why] {
			known[r.Why] = true
			all = append(all, r.Why)
		}
	}
	sort.Strings(all)
	return strings.Join(all, "; ")
}

// close sends what waits a last time, unless DX was down, and closes the library. The rest waits on the disk for the next start.
func (rs *reports) close() {
	close(rs.stop)
	<-rs.stopped
	rs.reporter.Close()
}
