package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"example.com/pipefold"
)

// The longest that one attempt to send may take. It is also how long the server waits for it when it stops.
const flushTime = 5 * time.Second

// reports tells pipefold of runs. It is all that this server has to do with pipefold.
//
// Three rules make one record of each run in DX, and in the end the right one, wherever the server is killed:
//
//   - What happens is first in the journal and then reported. So a report says nothing that the server does not know after a restart.
//   - A report only records. It takes a write to the disk and no request, so DX cannot delay a run. One goroutine sends in the background.
//   - A run whose reports may not all be recorded is reported again, whole. The notifications of a run fold into one record, in whatever order
//     and however often they come, so that this changes nothing where it was not needed.
type reports struct {
	server   *config
	runs     *runs
	reporter *pipefold.Reporter
	policies bool // True if there are any.

	mutex sync.Mutex
	// Runs of which a report failed.
	incomplete map[int64]bool
	warned     string

	wake, stop, stopped chan struct{}
}

// openReports opens pipefold with the settings of the platform team's file as they are. The server knows few of their keys, so that those of a
// newer library can be set too.
func openReports(c *config, all *runs) (*reports, error) {
	settings := make(map[string]json.RawMessage)
	if err := readJSON(c.Pipefold, &settings); err != nil {
		return nil, err
	}
	// Without time to send in, a report only records.
	setDefault(settings, "budgets", map[string]string{"start": "0s", "finish": "0s"})
	setDefault(settings, "spool", filepath.Join(c.Data, "pipefold"))
	reporter, err := pipefold.Open(settings, logPipefold)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Pipefold, err)
	}
	log.Printf("pipefold %s, interface %d", pipefold.Version(), pipefold.ABI())
	_, policies := settings["policy"]
	return &reports{
		server: c, runs: all, reporter: reporter, policies: policies, incomplete: make(map[int64]bool),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}, nil
}

func setDefault(settings map[string]json.RawMessage, key string, value any) {
	if _, given := settings[key]; !given {
		settings[key], _ = json.Marshal(value) // Texts alone: this cannot fail.
	}
}

// logPipefold takes the messages of the library. Any thread of the library calls it.
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

// finish reports that a run ended. If that and everything before is recorded, the run is pipefold's, and the result is true.
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

// again reports an ended run from its start. The result is false if a report failed.
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

// report makes one report and logs what became of it. The result is false if it has to be made again.
func (rs *reports) report(id int64, call func(pipefold.Notification) (*pipefold.Receipt, error), n pipefold.Notification) bool {
	receipt, err := call(n)
	if err != nil {
		log.Printf("run %d: %v", id, err)
		// A notification that breaks rules breaks them again.
		var wrong *pipefold.Error
		return errors.As(err, &wrong) && wrong.Status == pipefold.Refused
	}
	for _, warning := range receipt.Warnings {
		rs.warn(id, warning)
	}
	return receipt.OnDisk
}

// warn logs a warning, and not the same one for each report of each run.
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
	default: // It is awake already.
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
		if said == "" { // DX was there a moment ago.
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
			return // The others can wait too.
		}
	}
}

// send sends what waits, and logs what is different from what it said before: while DX is down, that is the same for hours.
func (rs *reports) send(before string) string {
	delivery, err := rs.reporter.Flush(&pipefold.FlushOptions{
		Timeout: flushTime.String(),
		// A record is bound to the policies under which it was made. If the platform team has changed them since, the new ones count: the
		// spool is this server's alone.
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
		log.Print("DX has all reports again")
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
		said = append(said, "runs wait for DX: "+delivery.KeptRuns[0].Why)
	}
	for _, policies := range delivery.OtherPolicies {
		said = append(said, fmt.Sprintf("runs wait for policies that are not in the settings any more: %v", policies.Names))
	}
	for _, refused := range delivery.RejectedRuns {
		said = append(said, fmt.Sprintf("DX does not take %s: %s", refused.ReferenceID, refused.Why))
	}
	return strings.Join(append(said, delivery.Warnings...), "; ")
}

// close sends what waits a last time, if DX was there before, and closes the library. What is not sent then waits on the disk for the next start.
func (rs *reports) close() {
	close(rs.stop)
	<-rs.stopped
	rs.reporter.Close()
}
