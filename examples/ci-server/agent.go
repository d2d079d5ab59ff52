package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"example.com/pipefold"
)

// maxLog is the size at which the log of a job is cut off, in bytes.
const maxLog = 10 << 20

// work is a job for an agent.
type work struct {
	Commands  []string
	Env       []string
	Directory string
	Log       string
	TimeLimit time.Duration
}

// do runs a job in a process of its own, the agent, and waits for its end. The agent and all that it starts are one process group, which is
// killed when the job has ended, when its time is up, and when the context is done.
func (w *work) do(ctx context.Context) status {
	logged, err := os.OpenFile(w.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		log.Printf("cannot write the log of a job: %v", err)
		return pipefold.Failure
	}
	defer logged.Close()
	timed, cancel := context.WithTimeout(ctx, w.TimeLimit)
	defer cancel()
	err = w.inAgent(timed, logged)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(logged, "ci-server: the job was cancelled")
		return pipefold.Cancelled
	case timed.Err() != nil:
		fmt.Fprintf(logged, "ci-server: the job was stopped after %s\n", w.TimeLimit)
		return pipefold.Failure
	case err != nil:
		fmt.Fprintf(logged, "ci-server: %v\n", err)
		return pipefold.Failure
	}
	return pipefold.Success
}

func (w *work) inAgent(ctx context.Context, logged io.Writer) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	ours, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ours.Close()
	agent := exec.Command(program, "agent")
	// A job must not see the server's environment. The agent is this program, and needs the same libraries.
	agent.Env = []string{"LD_LIBRARY_PATH=" + os.Getenv("LD_LIBRARY_PATH")}
	agent.Stdout, agent.Stderr = theirs, theirs
	agent.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := agent.StdinPipe()
	if err == nil {
		err = agent.Start()
	}
	theirs.Close()
	if err != nil {
		return err
	}
	copied := make(chan struct{})
	go func() {
		copyLog(logged, ours)
		close(copied)
	}()
	exited := make(chan error, 1)
	go func() {
		// If the agent cannot be written to, it has ended: Wait says why.
		_ = json.NewEncoder(stdin).Encode(w)
		exited <- agent.Wait()
	}()
	select {
	case err = <-exited:
	case <-ctx.Done():
		kill(agent)
		err = <-exited
	}
	// Processes that the job left behind would hold its log open.
	kill(agent)
	_ = ours.SetReadDeadline(time.Now().Add(time.Second))
	<-copied
	return err
}

func kill(agent *exec.Cmd) { _ = syscall.Kill(-agent.Process.Pid, syscall.SIGKILL) }

// copyLog copies until the end, and reads on beyond the limit so that the job is not stopped by a full pipe.
func copyLog(to io.Writer, from io.Reader) {
	if count, _ := io.CopyN(to, from, maxLog); count == maxLog {
		fmt.Fprintf(to, "\nci-server: the log was cut off at %d bytes\n", maxLog)
		_, _ = io.Copy(io.Discard, from)
	}
}

// agentMain runs in the agent: it reads a job, runs it, and gives its exit code. When the server ends, also by kill -9, the system closes the
// pipe on which the job came: then the agent kills the job and itself.
func agentMain() int {
	stdin := bufio.NewReader(os.Stdin)
	var w work
	if err := json.NewDecoder(stdin).Decode(&w); err != nil {
		fmt.Fprintf(os.Stderr, "ci-server: the agent got no job: %v\n", err)
		return 1
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		_ = syscall.Kill(0, syscall.SIGKILL) // 0 is the agent's own group.
	}()
	shell := exec.Command("/bin/sh", "-e", "-c", strings.Join(w.Commands, "\n"))
	shell.Env, shell.Dir = w.Env, w.Directory
	shell.Stdout, shell.Stderr = os.Stdout, os.Stderr
	err := shell.Run()
	if code := shell.ProcessState.ExitCode(); err != nil && code > 0 {
		return code
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "ci-server: %v\n", err)
		return 1
	}
	return 0
}

// environment gives the variables of a job: a few of the server, those of the run, and those of the pipeline and the job.
func environment(r run, p *pipeline, j *job, workspace string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + workspace, "CI=true",
		"CI_PIPELINE=" + r.Pipeline, fmt.Sprintf("CI_RUN=%d", r.ID), "CI_JOB=" + j.Name,
		"CI_BRANCH=" + r.Trigger.Branch, "CI_COMMIT=" + r.Trigger.Commit,
	}
	for _, more := range []map[string]string{p.Env, j.Env} {
		for name, value := range more {
			env = append(env, name+"="+value) // The last of a name counts.
		}
	}
	return env
}

func logFile(data string, id int64, job string) string {
	return filepath.Join(data, "logs", fmt.Sprint(id), job+".log")
}
