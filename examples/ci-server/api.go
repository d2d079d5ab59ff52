package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"example.com/pipefold"
)

// The limits of a request and an answer.
const (
	maxBody   = 64 << 10
	maxValue  = 255 // of a branch, a name and so on, in bytes
	mostRuns  = 100
	readTime  = 10 * time.Second
	writeTime = time.Minute
)

// newAPI gives the server of the API:
//
//	POST /pipelines/NAME/runs   makes a run; the body is a trigger, or nothing
//	GET  /runs?before=ID        the runs, newest first
//	GET  /runs/ID               a run
//	POST /runs/ID/cancel        ends a run
//	GET  /runs/ID/logs/JOB      the log of a job
//	GET  /                      the versions
func newAPI(s *scheduler) *http.Server {
	return &http.Server{
		Handler: api{s}, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
}

type api struct{ *scheduler }

// failure is the body of an answer that is no success.
type failure struct {
	Error string `json:"error"`
}

func (a api) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	request.Body = http.MaxBytesReader(w, request.Body, maxBody)
	if code, text := a.fromBrowser(request); code != 0 {
		answer(w, code, failure{text})
		return
	}
	path := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
	is := func(method string, parts ...string) bool {
		if request.Method != method || len(path) != len(parts) {
			return false
		}
		for at, part := range parts {
			if part != "*" && part != path[at] {
				return false
			}
		}
		return true
	}
	switch {
	case is("GET", ""):
		answer(w, http.StatusOK, map[string]any{"pipefold": pipefold.Version(), "interface": pipefold.ABI()})
	case is("GET", "runs"):
		a.list(w, request.URL.Query().Get("before"))
	case is("POST", "pipelines", "*", "runs"):
		a.trigger(w, path[1], request.Body)
	case is("GET", "runs", "*"):
		a.ofRun(w, path[1], func(r run) { answer(w, http.StatusOK, r) })
	case is("POST", "runs", "*", "cancel"):
		a.ofRun(w, path[1], func(r run) { a.end(w, r) })
	case is("GET", "runs", "*", "logs", "*"):
		a.ofRun(w, path[1], func(r run) { a.log(w, r, path[3]) })
	default:
		answer(w, http.StatusNotFound, failure{"there is nothing at this address"})
	}
}

// fromBrowser gives an answer for requests that pages in a browser on this machine can make: under the name of another machine that leads to
// this one, and with a body that is no JSON.
func (a api) fromBrowser(request *http.Request) (int, string) {
	host := request.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ours, _ := url.Parse(a.config.URL) // Checked when it was read.
	if host != "localhost" && net.ParseIP(host) == nil && host != ours.Hostname() {
		return http.StatusForbidden, "the host has to be localhost, an IP address, or that of the setting `url`"
	}
	if request.Method == "POST" && request.Header.Get("Content-Type") != "application/json" {
		return http.StatusUnsupportedMediaType, "the Content-Type has to be application/json"
	}
	return 0, ""
}

func (a api) trigger(w http.ResponseWriter, pipeline string, body io.Reader) {
	var t trigger
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&t)
	if err == io.EOF {
		err = nil // An empty body is an empty trigger.
	}
	if err == nil {
		err = t.check()
	}
	if err != nil {
		answer(w, http.StatusBadRequest, failure{"the body: " + strings.TrimPrefix(err.Error(), "json: ")})
		return
	}
	r, err := a.create(pipeline, t)
	switch {
	case err == nil:
		w.Header().Set("Location", fmt.Sprintf("/runs/%d", r.ID))
		answer(w, http.StatusCreated, r)
	case errors.Is(err, errNoPipeline):
		answer(w, http.StatusNotFound, failure{err.Error()})
	case errors.Is(err, errTooMany), errors.Is(err, errStopping):
		answer(w, http.StatusServiceUnavailable, failure{err.Error()})
	default:
		log.Printf("cannot make a run: %v", err)
		answer(w, http.StatusInternalServerError, failure{"the run could not be written to the disk"})
	}
}

// check refuses values that no system has, before they are in the journal.
func (t *trigger) check() error {
	for _, value := range []string{t.Branch, t.Commit, t.Email, t.User} {
		if len(value) > maxValue || strings.IndexFunc(value, unicode.IsControl) >= 0 {
			return fmt.Errorf("a value has up to %d bytes and no control characters", maxValue)
		}
	}
	if t.PullRequest < 0 {
		return errors.New("pull_request: this has to be a number from 1")
	}
	return nil
}

func (a api) list(w http.ResponseWriter, before string) {
	last := int64(math.MaxInt64)
	if before != "" {
		var err error
		if last, err = strconv.ParseInt(before, 10, 64); err != nil {
			answer(w, http.StatusBadRequest, failure{"before: this has to be the number of a run"})
			return
		}
	}
	answer(w, http.StatusOK, a.runs.list(last, mostRuns))
}

// ofRun finds the run of an address.
func (a api) ofRun(w http.ResponseWriter, number string, found func(run)) {
	id, err := strconv.ParseInt(number, 10, 64)
	if err == nil {
		if r, is := a.runs.get(id); is {
			found(r)
			return
		}
	}
	answer(w, http.StatusNotFound, failure{"there is no such run"})
}

func (a api) end(w http.ResponseWriter, r run) {
	r, err := a.cancel(r.ID)
	if err != nil {
		answer(w, http.StatusConflict, failure{err.Error()})
		return
	}
	answer(w, http.StatusOK, r)
}

func (a api) log(w http.ResponseWriter, r run, job string) {
	// Only the name of a job that has begun is made a part of a path.
	if r.job(job) != nil {
		if file, err := os.Open(logFile(a.config.Data, r.ID, job)); err == nil {
			defer file.Close()
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			_, _ = io.Copy(w, file)
			return
		}
	}
	answer(w, http.StatusNotFound, failure{"the job has no log"})
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // It fails if the client is gone.
}
