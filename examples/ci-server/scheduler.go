package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync"
	"time"

	"example.com/pipefold"
)

// The errors of a request for a run.
var (
	errNoPipeline = errors.New("there is no such pipeline")
	errNoRun      = errors.New("the run has ended")
	errTooMany    = errors.New("too many runs wait")
	errStopping   = errors.New("the server is stopping")
)

// The scheduler takes runs out of a queue, some at the same time, and gives their jobs to the agents.
type scheduler struct {
	config    *config
	pipelines map[string]*pipeline
	runs      *runs
	reports   *reports

	// Held while a run is put into the queue: the queue needs room for a run before the run is in the journal.
	creating sync.Mutex
	queue    chan int64
	agents   chan struct{} // has a value for each job that is running

	mutex   sync.Mutex
	stop    context.Context
	cancels map[int64]context.CancelFunc
	workers sync.WaitGroup
}

func newScheduler(c *config, pipelines map[string]*pipeline, all *runs, rs *reports) *scheduler {
	return &scheduler{
		config: c, pipelines: pipelines, runs: all, reports: rs,
		agents: make(chan struct{}, c.Agents), cancels: make(map[int64]context.CancelFunc),
	}
}

// recover ends the runs that an earlier process of this server left, and queues those that it had not begun.
//
// A run that had begun is cancelled and not resumed: it is unknown how far the commands of its jobs came, and repeating half a deployment is the
// decision of a person. A run that waited is resumed, as nothing of it has happened.
func (s *scheduler) recover() {
	left := s.runs.unreported()
	s.queue = make(chan int64, s.config.MostQueued+len(left))
	// The server ended at an unknown time. The time of the last event is closer to it than the present: it may have been off for days.
	at := s.runs.lastEvent()
	for _, r := range left {
		switch {
		case r.EndedAt != nil:
		case r.StartedAt != nil:
			log.Printf("run %d: cancelled, as the server ended while it was running", r.ID)
			for _, j := range r.Jobs {
				if j.EndedAt == nil {
					s.runs.add(event{At: at, What: jobEnded, Run: r.ID, Job: j.Name, Status: pipefold.Cancelled})
				}
			}
			r = s.runs.add(event{At: at, What: ended, Run: r.ID, Status: pipefold.Cancelled})
		default:
			s.queue <- r.ID
			continue
		}
		s.reports.again(r)
		s.cleanUp(r.ID)
	}
}

// start begins to take runs out of the queue, until the context is done.
func (s *scheduler) start(stop context.Context) {
	s.stop = stop
	for worker := 0; worker < s.config.RunsAtOnce; worker++ {
		s.workers.Add(1)
		go func() {
			defer s.workers.Done()
			for {
				select {
				case <-stop.Done():
					return
				case id := <-s.queue:
					// Of two cases that are ready, select takes any.
					if stop.Err() == nil {
						s.work(id)
					}
				}
			}
		}()
	}
}

// wait waits until no run goes on.
func (s *scheduler) wait() { s.workers.Wait() }

// create makes a run of a pipeline. When it returns, the run is in the journal.
func (s *scheduler) create(name string, t trigger) (run, error) {
	p := s.pipelines[name]
	if p == nil {
		return run{}, errNoPipeline
	}
	s.creating.Lock()
	defer s.creating.Unlock()
	if s.stop.Err() != nil {
		return run{}, errStopping
	}
	if len(s.queue) >= s.config.MostQueued {
		return run{}, errTooMany
	}
	r, err := s.runs.create(p, t)
	if err != nil {
		return run{}, err
	}
	s.queue <- r.ID
	return r, nil
}

// cancel ends a run before its time.
func (s *scheduler) cancel(id int64) (run, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	r, found := s.runs.get(id)
	if !found || r.EndedAt != nil {
		return run{}, errNoRun
	}
	if cancel := s.cancels[id]; cancel != nil {
		cancel()
		return r, nil
	}
	// It is in the queue: see begin.
	r = s.runs.add(event{What: ended, Run: id, Status: pipefold.Cancelled})
	s.reports.again(r)
	return r, nil
}

// begin gives a context for a run out of the queue, unless the run was cancelled there.
func (s *scheduler) begin(id int64) (context.Context, bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if r, found := s.runs.get(id); !found || r.EndedAt != nil {
		return nil, false
	}
	ctx, cancel := context.WithCancel(s.stop)
	s.cancels[id] = cancel
	return ctx, true
}

func (s *scheduler) done(id int64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.cancels[id]()
	delete(s.cancels, id)
}

// work does a run.
func (s *scheduler) work(id int64) {
	ctx, ok := s.begin(id)
	if !ok {
		return
	}
	defer s.done(id)
	r := s.runs.add(event{What: started, Run: id})
	s.reports.start(r)
	status := s.stages(ctx, r)
	r = s.runs.add(event{What: ended, Run: id, Status: status})
	log.Printf("run %d of %s: %s", id, r.Pipeline, r.Status)
	s.reports.finish(r)
	s.cleanUp(id)
}

// stages does the stages of a run, until one of them fails, and gives the status of the run.
func (s *scheduler) stages(ctx context.Context, r run) status {
	p := s.pipelines[r.Pipeline]
	if p == nil {
		log.Printf("run %d: cancelled, as there is no pipeline %q any more", r.ID, r.Pipeline)
		return pipefold.Cancelled
	}
	for _, directory := range []string{s.workspace(r.ID), filepath.Dir(logFile(s.config.Data, r.ID, ""))} {
		if err := os.MkdirAll(directory, 0o700); err != nil {
			log.Printf("run %d: %v", r.ID, err)
			return pipefold.Failure
		}
	}
	for at := range p.Stages {
		jobs := p.Stages[at].Jobs
		statuses := make([]status, len(jobs))
		var all sync.WaitGroup
		for at := range jobs {
			all.Add(1)
			go func(at int) {
				defer all.Done()
				statuses[at] = s.job(ctx, r, p, &jobs[at])
			}(at)
		}
		all.Wait()
		if ctx.Err() != nil {
			return pipefold.Cancelled
		}
		for at, status := range statuses {
			if status != pipefold.Success && !jobs[at].AllowFailure {
				return pipefold.Failure
			}
		}
	}
	return pipefold.Success
}

// job does a job when an agent is free.
func (s *scheduler) job(ctx context.Context, r run, p *pipeline, j *job) status {
	select {
	case s.agents <- struct{}{}:
		defer func() { <-s.agents }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return pipefold.Cancelled // It did not begin, so it is not reported.
	}
	now := s.runs.add(event{What: jobStarted, Run: r.ID, Job: j.Name, AllowFailure: j.AllowFailure})
	s.reports.job(now, j.Name)
	w := work{
		Commands:  j.Commands,
		Env:       environment(r, p, j, s.workspace(r.ID)),
		Directory: s.workspace(r.ID),
		Log:       logFile(s.config.Data, r.ID, j.Name),
		TimeLimit: time.Duration(j.TimeLimit),
	}
	status := w.do(ctx)
	now = s.runs.add(event{What: jobEnded, Run: r.ID, Job: j.Name, Status: status})
	s.reports.job(now, j.Name)
	return status
}

func (s *scheduler) workspace(id int64) string {
	return filepath.Join(s.config.Data, "work", fmt.Sprint(id))
}

func (s *scheduler) cleanUp(id int64) {
	if err := os.RemoveAll(s.workspace(id)); err != nil {
		log.Printf("run %d: %v", id, err)
	}
}
