package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The program of the tests is also the server and the agent that they start, so that they are what was compiled for the tests: under
// `go test -race` with the race detector.
func TestMain(m *testing.M) {
	if os.Getenv("CI_SERVER") != "" || len(os.Args) == 2 && os.Args[1] == "agent" {
		main()
		return
	}
	os.Exit(m.Run())
}

// The longest that a test waits for anything.
const patience = 60 * time.Second

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// dx is a DX on this machine, and a line to it that can be cut.
type dx struct {
	t       *testing.T
	process *exec.Cmd
	stdin   io.Closer
	output  *bufio.Reader
	inner   string // the address of the stand-in
	address string // the address of the line

	mutex    sync.Mutex
	listener net.Listener
	sent     bytes.Buffer // all that was sent over the line
}

func startDX(t *testing.T) *dx {
	t.Helper()
	d := &dx{t: t, process: exec.Command("dx-standin", "--token", "secret", "--seconds", "300")}
	stdin, err := d.process.StdinPipe()
	check(t, err)
	stdout, err := d.process.StdoutPipe()
	check(t, err)
	check(t, d.process.Start())
	t.Cleanup(func() { _ = d.process.Process.Kill(); _ = d.process.Wait() })
	d.stdin, d.output = stdin, bufio.NewReader(stdout)
	url, err := d.output.ReadString('\n')
	check(t, err)
	d.inner = strings.TrimPrefix(strings.TrimSpace(url), "http://")
	d.address = "127.0.0.1:0"
	d.up()
	t.Cleanup(d.down)
	return d
}

// up connects the line.
func (d *dx) up() {
	d.t.Helper()
	listener, err := net.Listen("tcp", d.address)
	check(d.t, err)
	d.mutex.Lock()
	d.listener, d.address = listener, listener.Addr().String()
	d.mutex.Unlock()
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			go d.forward(from)
		}
	}()
}

// down cuts the line: connections are refused.
func (d *dx) down() {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.listener != nil {
		d.listener.Close()
		d.listener = nil
	}
}

func (d *dx) forward(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", d.inner)
	if err != nil {
		return
	}
	defer to.Close()
	go func() { _, _ = io.Copy(from, to); from.Close() }()
	_, _ = io.Copy(io.MultiWriter(to, d), from)
}

func (d *dx) Write(bytes []byte) (int, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.sent.Write(bytes)
}

func (d *dx) wasSent() string {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.sent.String()
}

// record is what DX has of a run.
type record struct {
	PipelineName string `json:"pipeline_name"`
	ReferenceID  string `json:"reference_id"`
	Status       string `json:"status"`
	StartedAt    string `json:"started_at"`
	FinishedAt   string `json:"finished_at"`
	Jobs         []struct {
		ReferenceID string `json:"reference_id"`
		Status      string `json:"status"`
	} `json:"jobs"`
}

// jobs gives the jobs in one line.
func (r record) jobs() string {
	var all []string
	for _, j := range r.Jobs {
		all = append(all, j.ReferenceID+" "+j.Status)
	}
	return strings.Join(all, ", ")
}

// records ends DX and gives what it has, by the reference ID of runs.
func (d *dx) records() map[string]record {
	d.t.Helper()
	d.stdin.Close()
	text, err := io.ReadAll(d.output)
	check(d.t, err)
	records := make(map[string]record)
	if err := json.Unmarshal(text, &records); err != nil {
		d.t.Fatalf("the records of dx-standin: %v: %s", err, text)
	}
	return records
}

// server is a server of its own process, in a directory with its files of settings.
type server struct {
	t         *testing.T
	directory string
	libraries string // the directory of libpipefold.so.1
	process   *exec.Cmd
	address   string
	log       *logged
	ended     chan error
}

// logged collects the log of a server.
type logged struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *logged) Write(bytes []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(bytes)
}

func (l *logged) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

// policy is that of the platform team in these tests.
const policy = `[{"use": "rules", "rules": [{"drop": "email"}, {"rename": "pipeline_name", "glob": "*", "to": "platform/*"}]}]`

// newServer makes the files of a server for a DX, with pipelines as JSON, and more settings of the server.
func newServer(t *testing.T, d *dx, pipelines string, settings string) *server {
	t.Helper()
	directory := t.TempDir()
	s := &server{t: t, directory: directory, libraries: os.Getenv("LD_LIBRARY_PATH"), log: new(logged)}
	s.write("server.json", `{"name": "ci.test", "listen": "127.0.0.1:0", "flush_every": "200ms"`+settings+`}`)
	s.write("pipelines.json", pipelines)
	s.write("token", "secret")
	s.write("pipefold.json", fmt.Sprintf(`{"dx_url": "http://%s", "token_file": "token", "policy": %s}`, d.address, policy))
	t.Cleanup(func() {
		if s.process != nil {
			s.kill()
		}
		if strings.Contains(s.log.String(), "DATA RACE") {
			t.Error("the race detector found something")
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log)
		}
	})
	return s
}

func (s *server) write(name, text string) {
	s.t.Helper()
	check(s.t, os.WriteFile(filepath.Join(s.directory, name), []byte(text), 0o600))
}

// launch starts the process and waits until it listens or ends; then the error is not nil.
func (s *server) launch() error {
	s.t.Helper()
	program, err := os.Executable()
	check(s.t, err)
	s.process = exec.Command(program, filepath.Join(s.directory, "server.json"))
	s.process.Env = []string{
		"CI_SERVER=1", "LD_LIBRARY_PATH=" + s.libraries, "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"),
		"XDG_CACHE_HOME=" + os.Getenv("XDG_CACHE_HOME"), "SECRET_OF_THE_SERVER=1",
	}
	stderr, err := s.process.StderrPipe()
	check(s.t, err)
	check(s.t, s.process.Start())
	listening := make(chan string, 1)
	s.ended = make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			fmt.Fprintln(s.log, lines.Text())
			if _, address, found := strings.Cut(lines.Text(), "listening on "); found {
				listening <- address
			}
		}
		s.ended <- s.process.Wait()
	}()
	select {
	case s.address = <-listening:
		return nil
	case err := <-s.ended:
		s.process = nil
		if err == nil {
			err = io.EOF
		}
		return err
	case <-time.After(patience):
		s.t.Fatal("the server does not listen")
		return nil
	}
}

func (s *server) start() {
	s.t.Helper()
	if err := s.launch(); err != nil {
		s.t.Fatalf("the server ended: %v", err)
	}
}

// kill is kill -9.
func (s *server) kill() {
	_ = s.process.Process.Kill()
	<-s.ended
	s.process = nil
}

// stop is SIGTERM: the server sends what waits and ends.
func (s *server) stop() {
	s.t.Helper()
	check(s.t, s.process.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-s.ended:
		s.process = nil
		check(s.t, err)
	case <-time.After(patience):
		s.t.Fatal("the server does not stop")
	}
}

// ask sends a request and gives the code and the body.
func (s *server) ask(method, path, body string) (int, []byte, error) {
	request, err := http.NewRequest(method, s.address+path, strings.NewReader(body))
	check(s.t, err)
	request.Header.Set("Content-Type", "application/json")
	// No connection is kept: the server may be killed at any time.
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

func (s *server) get(path string, into any) {
	s.t.Helper()
	code, answer, err := s.ask("GET", path, "")
	check(s.t, err)
	if code != http.StatusOK {
		s.t.Fatalf("GET %s: %d %s", path, code, answer)
	}
	check(s.t, json.Unmarshal(answer, into))
}

// trigger makes a run.
func (s *server) trigger(pipeline, body string) run {
	s.t.Helper()
	code, answer, err := s.ask("POST", "/pipelines/"+pipeline+"/runs", body)
	check(s.t, err)
	if code != http.StatusCreated {
		s.t.Fatalf("no run of %s: %d %s", pipeline, code, answer)
	}
	var r run
	check(s.t, json.Unmarshal(answer, &r))
	return r
}

func (s *server) show(id int64) run {
	s.t.Helper()
	var r run
	s.get(fmt.Sprintf("/runs/%d", id), &r)
	return r
}

// all gives all runs, page by page.
func (s *server) all() []run {
	s.t.Helper()
	var all, page []run
	for s.get("/runs", &page); len(page) > 0; s.get(fmt.Sprintf("/runs?before=%d", all[len(all)-1].ID), &page) {
		all = append(all, page...)
		page = nil
	}
	return all
}

// wait waits until a run has ended and is reported.
func (s *server) wait(id int64) run {
	s.t.Helper()
	var r run
	eventually(s.t, fmt.Sprintf("the end of run %d", id), func() bool {
		r = s.show(id)
		return r.Reported
	})
	return r
}

// reference gives the name of a run in DX.
func reference(r run) string { return fmt.Sprintf("ci.test/%s/%d", r.Pipeline, r.ID) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
