package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// A pipeline has stages, one after another. The jobs of a stage run side by side.
type pipeline struct {
	Name       string            `json:"name"`
	Repository string            `json:"repository"`
	Env        map[string]string `json:"env"`
	Stages     []stage           `json:"stages"`
}

type stage struct {
	Name string `json:"name"`
	Jobs []job  `json:"jobs"`
}

// A job is a list of commands for the shell. It ends with the first one that fails.
type job struct {
	Name         string            `json:"name"`
	Commands     []string          `json:"commands"`
	Env          map[string]string `json:"env"`
	TimeLimit    duration          `json:"time_limit"`
	AllowFailure bool              `json:"allow_failure"`
}

// The limits of a file of pipelines.
const (
	mostPipelines = 1000
	mostJobs      = 100 // of a pipeline; by default pipefold sends as many of a run
	longestLimit  = 24 * time.Hour
	usualLimit    = time.Hour
)

// Names stand in addresses, in names of files and in DX.
const nameRule = "a name has 1 to 100 of the characters A to Z, a to z, 0 to 9, '.', '_' and '-', and begins with a letter or digit"

var (
	names     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
	variables = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)
)

func isName(name string) bool { return names.MatchString(name) }

// readPipelines reads a file of pipelines and checks it, so that no run finds a fault in it.
func readPipelines(file string) (map[string]*pipeline, error) {
	var list []*pipeline
	if err := readJSON(file, &list); err != nil {
		return nil, err
	}
	if len(list) > mostPipelines {
		return nil, fmt.Errorf("%s: there are %d pipelines, and %d are allowed", file, len(list), mostPipelines)
	}
	all := make(map[string]*pipeline)
	for number, p := range list {
		if p == nil {
			return nil, fmt.Errorf("%s: pipeline %d is null", file, number+1)
		}
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("%s: pipeline %d (%.100q): %w", file, number+1, p.Name, err)
		}
		if all[p.Name] != nil {
			return nil, fmt.Errorf("%s: pipeline %d: there is another one named %q", file, number+1, p.Name)
		}
		all[p.Name] = p
	}
	return all, nil
}

func (p *pipeline) check() error {
	if !isName(p.Name) {
		return fmt.Errorf("name: %s", nameRule)
	}
	if err := checkEnv(p.Env); err != nil {
		return err
	}
	if len(p.Stages) == 0 {
		return errors.New("stages: there is none")
	}
	jobs := make(map[string]bool)
	for at := range p.Stages {
		s := &p.Stages[at]
		if !isName(s.Name) {
			return fmt.Errorf("stage %d: name: %s", at+1, nameRule)
		}
		if len(s.Jobs) == 0 {
			return fmt.Errorf("stage %s: jobs: there is none", s.Name)
		}
		for at := range s.Jobs {
			j := &s.Jobs[at]
			if err := j.check(); err != nil {
				return fmt.Errorf("stage %s: job %d: %w", s.Name, at+1, err)
			}
			// A job is a step in DX, and steps have unique names.
			if jobs[j.Name] {
				return fmt.Errorf("stage %s: job %d: there is another one named %q", s.Name, at+1, j.Name)
			}
			jobs[j.Name] = true
		}
	}
	if len(jobs) > mostJobs {
		return fmt.Errorf("there are %d jobs, and %d are allowed", len(jobs), mostJobs)
	}
	return nil
}

func (j *job) check() error {
	if !isName(j.Name) {
		return fmt.Errorf("name: %s", nameRule)
	}
	if len(j.Commands) == 0 {
		return errors.New("commands: there is none")
	}
	for _, command := range j.Commands {
		if strings.ContainsRune(command, 0) {
			return errors.New("commands: a command has a NUL")
		}
	}
	switch {
	case j.TimeLimit == 0:
		j.TimeLimit = duration(usualLimit)
	case j.TimeLimit < 0 || j.TimeLimit > duration(longestLimit):
		return fmt.Errorf("time_limit: this has to be from 1ns to %s", longestLimit)
	}
	return checkEnv(j.Env)
}

func checkEnv(env map[string]string) error {
	for name, value := range env {
		if !variables.MatchString(name) || strings.ContainsRune(value, 0) {
			return fmt.Errorf("env: %.100q is no name of a variable, or its value has a NUL", name)
		}
	}
	return nil
}
