package main

import (
	"log"
	"sort"
	"sync"
	"time"

	"example.com/pipefold"
)

// status is the status of a run or job: one of pipefold's, or queued.
type status = pipefold.RunStatus

const queued status = "queued"

// A run of a pipeline, as the API shows it.
type run struct {
	ID         int64      `json:"id"`
	Pipeline   string     `json:"pipeline"`
	Repository string     `json:"repository,omitempty"`
	Status     status     `json:"status"`
	Trigger    trigger    `json:"trigger"`
	CreatedAt  time.Time  `json:"created_at"`
	StartedAt  *time.Time `json:"started_at,omitempty"`
	EndedAt    *time.Time `json:"ended_at,omitempty"`
	Jobs       []jobRun   `json:"jobs"`
	// True if all of the run is in pipefold's spool.
	Reported bool `json:"reported"`
}

// A trigger says what a run is for and who wanted it.
type trigger struct {
	Branch      string `json:"branch,omitempty"`
	Commit      string `json:"commit,omitempty"`
	PullRequest int64  `json:"pull_request,omitempty"`
	Email       string `json:"email,omitempty"`
	User        string `json:"user,omitempty"`
}

// A jobRun is a job of a run that has begun.
type jobRun struct {
	Name         string     `json:"name"`
	Status       status     `json:"status"`
	StartedAt    time.Time  `json:"started_at"`
	EndedAt      *time.Time `json:"ended_at,omitempty"`
	AllowFailure bool       `json:"allow_failure,omitempty"`
}

func (r *run) job(name string) *jobRun {
	for at := range r.Jobs {
		if r.Jobs[at].Name == name {
			return &r.Jobs[at]
		}
	}
	return nil
}

// start gives the time that DX has as the run's start. A run may end without one, if it is cancelled in the queue.
func (r *run) start() time.Time {
	if r.StartedAt == nil {
		return r.CreatedAt
	}
	return *r.StartedAt
}

// events gives events that make this run.
func (r *run) events() []event {
	trigger := r.Trigger
	all := []event{{At: r.CreatedAt, What: created, Run: r.ID, Pipeline: r.Pipeline, Repository: r.Repository, Trigger: &trigger}}
	if r.StartedAt != nil {
		all = append(all, event{At: *r.StartedAt, What: started, Run: r.ID})
	}
	for _, j := range r.Jobs {
		all = append(all, event{At: j.StartedAt, What: jobStarted, Run: r.ID, Job: j.Name, AllowFailure: j.AllowFailure})
		if j.EndedAt != nil {
			all = append(all, event{At: *j.EndedAt, What: jobEnded, Run: r.ID, Job: j.Name, Status: j.Status})
		}
	}
	if r.EndedAt != nil {
		all = append(all, event{At: *r.EndedAt, What: ended, Run: r.ID, Status: r.Status})
	}
	if r.Reported {
		all = append(all, event{At: *r.EndedAt, What: reported, Run: r.ID})
	}
	return all
}

// runs holds the runs of the server, as its journal has them.
type runs struct {
	keep int
	// Called for each run that is no longer kept.
	forgotten func(id int64)

	// For changes: an event is appended and applied before the next one is.
	writing sync.Mutex
	journal *journal
	// The number of events in the journal about runs that are no longer kept.
	useless int

	// For the fields below, which are also read without a change.
	mutex sync.RWMutex
	byID  map[int64]*run
	order []int64 // oldest first
	last  time.Time
}

// mostUseless is the number of useless events at which the journal is rewritten: about 200 KiB.
const mostUseless = 1000

// openRuns reads the journal.
func openRuns(path string, keep int, forgotten func(id int64)) (*runs, error) {
	j, events, err := openJournal(path)
	if err != nil {
		return nil, err
	}
	all := &runs{journal: j, keep: keep, forgotten: forgotten, byID: make(map[int64]*run)}
	for _, e := range events {
		all.apply(e)
	}
	return all, nil
}

// shorten rewrites the journal if it has many events about runs that are no longer kept.
func (all *runs) shorten() {
	if all.useless < mostUseless {
		return
	}
	all.useless = 0
	var kept []event
	for _, id := range all.order {
		kept = append(kept, all.byID[id].events()...)
	}
	if err := all.journal.rewrite(kept); err != nil {
		log.Printf("cannot shorten the journal: %v", err) // The old one is still good.
	}
}

// lastEvent gives the time of the last event.
func (all *runs) lastEvent() time.Time {
	all.mutex.RLock()
	defer all.mutex.RUnlock()
	return all.last
}

// now gives the time, and none before that of the last event: a clock that is set back must not end a run before its start.
func (all *runs) now() time.Time {
	now, last := time.Now().UTC(), all.lastEvent()
	if now.Before(last) {
		return last
	}
	return now
}

func (all *runs) close() { all.journal.file.Close() }

// add appends an event to the journal, with the present time if it has none, and gives the run after it. The server ends if it cannot write: what
// it did after that would be unknown to the next process.
func (all *runs) add(e event) run {
	all.writing.Lock()
	defer all.writing.Unlock()
	if e.At.IsZero() {
		e.At = all.now()
	}
	if err := all.journal.append(e); err != nil {
		log.Fatalf("cannot write the journal: %v", err)
	}
	defer all.shorten()
	return all.apply(e)
}

// create adds a run. After an error there is no run, and the server goes on.
func (all *runs) create(p *pipeline, t trigger) (run, error) {
	all.writing.Lock()
	defer all.writing.Unlock()
	// The number of a run is the time in ms. It is never used twice, also after the data of the server were lost, so no run ever has the
	// record of another in DX.
	now := all.now()
	id := now.UnixMilli()
	if count := len(all.order); count > 0 && id <= all.order[count-1] {
		id = all.order[count-1] + 1
	}
	e := event{At: now, What: created, Run: id, Pipeline: p.Name, Repository: p.Repository, Trigger: &t}
	if err := all.journal.append(e); err != nil {
		return run{}, err
	}
	return all.apply(e), nil
}

func (all *runs) apply(e event) run {
	all.mutex.Lock()
	defer all.mutex.Unlock()
	at := e.At
	if at.After(all.last) {
		all.last = at
	}
	if e.What == created {
		r := &run{ID: e.Run, Pipeline: e.Pipeline, Repository: e.Repository, Status: queued, CreatedAt: at, Jobs: []jobRun{}}
		if e.Trigger != nil {
			r.Trigger = *e.Trigger
		}
		all.byID[r.ID] = r
		all.order = append(all.order, r.ID)
		return r.copy()
	}
	r := all.byID[e.Run]
	if r == nil {
		return run{} // The run was forgotten.
	}
	switch e.What {
	case started:
		r.Status, r.StartedAt = pipefold.Running, &at
	case jobStarted:
		r.Jobs = append(r.Jobs, jobRun{Name: e.Job, Status: pipefold.Running, StartedAt: at, AllowFailure: e.AllowFailure})
	case jobEnded:
		if j := r.job(e.Job); j != nil {
			j.Status, j.EndedAt = e.Status, &at
		}
	case ended:
		r.Status, r.EndedAt = e.Status, &at
	case reported:
		r.Reported = true
		all.prune()
	}
	return r.copy()
}

// prune forgets the oldest runs that are reported, until there are no more than are kept.
func (all *runs) prune() {
	for len(all.order) > all.keep {
		oldest := all.byID[all.order[0]]
		if !oldest.Reported {
			return
		}
		all.useless += len(oldest.events())
		delete(all.byID, oldest.ID)
		all.order = all.order[1:]
		if all.forgotten != nil {
			all.forgotten(oldest.ID)
		}
	}
}

func (r *run) copy() run {
	copied := *r
	copied.Jobs = append([]jobRun{}, r.Jobs...)
	return copied
}

func (all *runs) get(id int64) (run, bool) {
	all.mutex.RLock()
	defer all.mutex.RUnlock()
	r, found := all.byID[id]
	if !found {
		return run{}, false
	}
	return r.copy(), true
}

// list gives up to `most` runs before a number, newest first.
func (all *runs) list(before int64, most int) []run {
	all.mutex.RLock()
	defer all.mutex.RUnlock()
	at := sort.Search(len(all.order), func(at int) bool { return all.order[at] >= before })
	listed := []run{}
	for at--; at >= 0 && len(listed) < most; at-- {
		listed = append(listed, all.byID[all.order[at]].copy())
	}
	return listed
}

// unreported gives the runs that are not in pipefold's spool as a whole, oldest first.
func (all *runs) unreported() []run {
	all.mutex.RLock()
	defer all.mutex.RUnlock()
	var list []run
	for _, id := range all.order {
		if r := all.byID[id]; !r.Reported {
			list = append(list, r.copy())
		}
	}
	return list
}
