package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// An event is one line of the journal. runs.apply makes the state of the server out of all of them.
type event struct {
	At   time.Time `json:"at"`
	What what      `json:"what"`
	Run  int64     `json:"run"`
	// Of a run that was created.
	Pipeline   string   `json:"pipeline,omitempty"`
	Repository string   `json:"repository,omitempty"`
	Trigger    *trigger `json:"trigger,omitempty"`
	// Of a job.
	Job          string `json:"job,omitempty"`
	AllowFailure bool   `json:"allow_failure,omitempty"`
	// Of the end of a run or job.
	Status status `json:"status,omitempty"`
}

type what string

const (
	created    what = "created"
	started    what = "started"
	jobStarted what = "job started"
	jobEnded   what = "job ended"
	ended      what = "ended"
	// All of the run is in pipefold's spool, which does not lose it.
	reported what = "reported"
)

// A journal is a file of events. One that was appended survives the end of the process and of the machine. It has one user at a time.
type journal struct {
	path string
	file *os.File
	size int64
}

// openJournal gives the events of the file, oldest first. It removes a part of a line at the end, which a killed server leaves: nothing was
// done yet for such an event.
func openJournal(path string) (*journal, []event, error) {
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, nil, err
	}
	var events []event
	size := 0
	for number := 1; size < len(text); number++ {
		length := bytes.IndexByte(text[size:], '\n') + 1
		if length == 0 {
			break
		}
		var e event
		if err := json.Unmarshal(text[size:size+length], &e); err != nil {
			return nil, nil, fmt.Errorf("%s:%d: this is no event (%v); put the file aside, or mend the line", path, number, err)
		}
		events = append(events, e)
		size += length
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	j := &journal{path, file, int64(size)}
	if err := file.Truncate(j.size); err != nil {
		return nil, nil, err
	}
	return j, events, syncDirectory(filepath.Dir(path))
}

// append writes an event to the disk. After an error the journal is as before.
func (j *journal) append(e event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if _, err = j.file.WriteAt(line, j.size); err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		_ = j.file.Truncate(j.size)
		return err
	}
	j.size += int64(len(line))
	return nil
}

// rewrite puts a file of these events in the place of the journal's, at once. After an error the journal is as before.
func (j *journal) rewrite(events []event) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	for _, e := range events {
		if err := encoder.Encode(e); err != nil {
			return err
		}
	}
	file, err := os.OpenFile(j.path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = file.Write(text.Bytes()); err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = os.Rename(file.Name(), j.path)
	}
	if err != nil {
		file.Close()
		return err
	}
	j.file.Close()
	j.file, j.size = file, int64(text.Len())
	return syncDirectory(filepath.Dir(j.path))
}

// syncDirectory writes the names of new files to the disk.
func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	defer directory.Close()
	return directory.Sync()
}

// lockDirectory keeps other servers from a directory until this process ends.
func lockDirectory(path string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: another server uses this directory", path)
	}
	return file, nil
}
