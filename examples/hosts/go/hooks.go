package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
)

// question is a line to the process.
type question struct {
	Hook         string            `json:"hook"`
	Notification json.RawMessage   `json:"notification,omitempty"`
	History      []json.RawMessage `json:"history,omitempty"`
}

// hooks is one process that answers many questions. Goroutines may share it: they take turns, since answers come in the order of the questions.
type hooks struct {
	turn    sync.Mutex
	process *exec.Cmd
	stdin   io.WriteCloser
	answers *bufio.Reader
}

func startHooks() (*hooks, error) {
	process := exec.Command("pipefold", "hook", "--stream")
	process.Stderr = os.Stderr
	stdin, err := process.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, err
	}
	return &hooks{process: process, stdin: stdin, answers: bufio.NewReader(stdout)}, nil
}

// ask gives the line that answers a question. What the rules refuse is an error, with the violations.
func (hooks *hooks) ask(question question) ([]byte, error) {
	// Encoded in one line, as JSON of Go always is.
	line, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	hooks.turn.Lock()
	defer hooks.turn.Unlock()
	if _, err := hooks.stdin.Write(append(line, '\n')); err != nil {
		return nil, err
	}
	answer, err := hooks.answers.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("pipefold ended: %w", err)
	}
	answer = answer[:len(answer)-1]
	var wrong struct {
		Error      string
		Violations json.RawMessage
	}
	if err := json.Unmarshal(answer, &wrong); err != nil {
		return nil, err
	}
	switch {
	case wrong.Violations != nil:
		return nil, fmt.Errorf("refused: %s", wrong.Violations)
	case wrong.Error != "":
		return nil, fmt.Errorf("%s", wrong.Error)
	}
	return answer, nil
}

// close ends the process, whose input then ends.
func (hooks *hooks) close() {
	hooks.stdin.Close()
	hooks.process.Wait()
}
